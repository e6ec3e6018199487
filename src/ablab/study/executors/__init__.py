"""Who does the runs: `local` processes, or tasks of a `ray` cluster. All call the same run function."""
