"""From records to tables and figures; reads nothing else, and never imports torch."""
