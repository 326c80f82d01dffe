"""The only SQL: one file per noun, and two files of hot statements, one for each database."""
