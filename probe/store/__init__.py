"""The database: tables, sessions, writes and queries. It is the truth; everything else can be lost."""
