//go:build unix

package app

import (
	"syscall"
	"testing"
)

// TestALockGivenUpIsFreeAtOnce gives it up while a copy of its descriptor lives, as in a child between fork and exec.
func TestALockGivenUpIsFreeAtOnce(t *testing.T) {
	dir := t.TempDir()
	first, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(dir); err == nil {
		t.Fatal("two hold one folder")
	}
	child, err := syscall.Dup(int(first.(heldLock).file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(child)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := lockFolder(dir)
	if err != nil {
		t.Fatalf("after it was given up: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}
