"""Parts of the report: what run folders say, tables, figures, example pictures, the page."""
