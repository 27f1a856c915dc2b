// Package report writes what a scan concluded: as an answer for a terminal (Table), as one self-contained page
// (HTML), and as data (JSON, JSONL, CSV, OCSF). It takes a campaign.Result and the declared model and changes
// neither; the same input gives the same bytes. Every value shown was written by somebody who may be the
// intruder: markup is escaped by context, spreadsheet formulas are disarmed, and control and bidirectional
// characters are shown as \uXXXX, never sent on. A failing writer is the only error.
package report
