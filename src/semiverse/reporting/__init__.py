"""Reports: what run folders say, as tables, figures, verdicts and one page."""
