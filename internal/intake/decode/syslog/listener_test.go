package syslog

import (
	"testing"

	listener "github.com/breakwater-project/breakwater/internal/intake/listen/syslog"
)

func TestTheListenersMarkIsKnown(t *testing.T) {
	if CutMark != listener.CutMark {
		t.Errorf("the listener ends a cut message with %q, and %q is looked for", listener.CutMark, CutMark)
	}
}
