"""Result tables: cells, statistics, plots."""
