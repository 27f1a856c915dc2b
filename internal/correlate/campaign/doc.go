// Package campaign draws the conclusions: findings of one tenant become incidents, incidents that belong
// together become campaigns with a partner, a first foothold or a trace request, and an outcome for every
// configured tenant. It takes findings, the hop graph, coverage and the declared model, and returns a Result;
// the same input in any order gives the same Result.
package campaign
