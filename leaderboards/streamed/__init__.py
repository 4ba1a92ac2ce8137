"""The tables of a board whose scores lie on disk, made column by column in bounded memory."""
