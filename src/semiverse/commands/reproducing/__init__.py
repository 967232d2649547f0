"""Parts of reproducing a table: recipes, their cells, results, the table."""
