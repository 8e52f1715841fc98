"""Garbage collection: what nothing refers to is deleted, after a warning that every writer can heed.

S3 cannot delete on a condition that spans objects, so this is how nobody is robbed. A run first *condemns*: it publishes the
digests that nothing refers to and that are older than the grace period. Only a run at least one grace period later
*executes* those that still nothing refers to and that were not written again. A writer looks at the published list before it
relies on a blob; for a condemned one, writer and collector race for a *verdict* object by put-if-absent: whoever wins decides.
Records, aliases and pins that appear meanwhile are seen by the second run, because each of them is written long before the
grace period of what it refers to is over.
"""
