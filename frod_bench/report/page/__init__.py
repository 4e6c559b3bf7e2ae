"""The page: a whole report as one HTML file that loads nothing and opens anywhere."""
