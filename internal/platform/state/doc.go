// Package state is the control plane's memory: tokens, users and sessions, the declared configuration, alert levels,
// dead letters, the outbox of notifications, offsets of tailed files, findings, incidents and campaigns, the audit.
// Plain structs go in and come out; everything that holds tenants' data is read through a tenant.Scope.
//
// It is SQLite in the data folder (state.db) behind bun, so that another dialect fits without a change to callers:
// one connection writes, a pool reads, and a call that writes returns when its transaction is on disk. Two processes
// may have the folder open at once.
//
// Each row carries a checksum over its content. A row that does not match is reported through Options.Damage and
// skipped, never returned. The first process to open the folder checks the whole file; what is damaged is rebuilt
// row by row into a new file, the old one is kept beside it as state.db.damaged-<time>, and the start goes on.
package state
