// Package posture judges whether the doors of an organisation are locked, by facts and not by answers to questions.
//
// In: facts (package evidence) that readers drew from inventories, configurations, audits and restore drills, or
// that a person wrote down; controls, each a YAML file with an expression in CEL over such facts; a site's own
// settings and exceptions; and the time. Out: for each control of one tenant a status with the facts behind it, and
// from these a signed statement that a provider can show its clients, which holds no subject, host or person.
//
// It promises: what is not known is never a pass, neither is what is old; the same facts give the same answer in
// any order; an expression can neither reach out nor run on (cost, memory, nesting and time are limited); a Checker
// belongs to one tenant and refuses the facts of any other. Broken files and records are counted and named, and the
// rest is read.
package posture
