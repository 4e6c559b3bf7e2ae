"""From records to tables, figures and a page; reads nothing else, and never imports torch."""
