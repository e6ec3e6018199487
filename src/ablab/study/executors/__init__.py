"""Who does the runs: `local` processes. Every executor calls the same run function."""
