"""Long work: one table, one queue, a process per job."""
