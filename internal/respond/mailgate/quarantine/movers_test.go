package quarantine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func script(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCommands(t *testing.T) {
	echo := script(t, "release", `printf '%s|' "$@"; echo`)
	for name, c := range map[string]struct {
		program []string
		id      string
		resumed bool
		want    string // part of the error, or of what the program said
		fails   bool
	}{
		"the id takes its place":                  {[]string{echo, "-H", "{id}"}, "4Xa9bCdEf", false, "-H|4Xa9bCdEf|", false},
		"no shell reads the arguments":            {[]string{echo, "$(id)", ";", "{id}"}, "4Xa9bCdEf", false, "$(id)|;|4Xa9bCdEf|", false},
		"an id within a word stays":               {[]string{echo, "x{id}", "{id}"}, "4Xa9bCdEf", false, "x{id}|4Xa9bCdEf|", false},
		"an option is no id":                      {[]string{echo, "{id}"}, "-d", false, "no queue id", true},
		"ALL is no id":                            {[]string{echo, "{id}"}, "ALL", false, "no queue id", true},
		"a path is no id":                         {[]string{echo, "{id}"}, "../../etc", false, "no queue id", true},
		"a line end is no part of an id":          {[]string{echo, "{id}"}, "4Xa9bCdEf\n", false, "no queue id", true},
		"none is no id":                           {[]string{echo, "{id}"}, "", false, "no queue id", true},
		"a long one is no id":                     {[]string{echo, "{id}"}, strings.Repeat("a", 31), false, "no queue id", true},
		"a program without the id is not started": {[]string{echo, "-H"}, "4Xa9bCdEf", false, "no command is set", true},
		"the id is no program":                    {[]string{"{id}"}, "4Xa9bCdEf", false, "no command is set", true},
		"a program that fails says why":           {[]string{script(t, "f", "echo 'the queue is \033[31mlocked' >&2; exit 3"), "{id}"}, "4Xa9bCdEf", false, "exit status 3; it said: the queue is \uFFFD[31mlocked", true},
		"what it says is cut":                     {[]string{script(t, "f", "yes | head -c 100000; exit 1"), "{id}"}, "4Xa9bCdEf", false, " y …", true},
		"one that is not there is told":           {[]string{"/nonexistent/postsuper", "{id}"}, "4Xa9bCdEf", false, "no such file", true},
		"postsuper that found nothing":            {[]string{script(t, "postsuper", ""), "{id}"}, "4Xa9bCdEf", false, "released or deleted there", true},
		"and by another program":                  {[]string{"/usr/bin/env", script(t, "postsuper", ""), "{id}"}, "4Xa9bCdEf", false, "released or deleted there", true},
		"a script that says that it is gone":      {[]string{script(t, "held", "echo no such message waits >&2; exit 1"), "{id}"}, "4Xa9bCdEf", false, "released or deleted there", true},
		"a script that did it before":             {[]string{script(t, "held", "echo no such message waits >&2; exit 1"), "{id}"}, "4Xa9bCdEf", true, "", false},
		"postsuper that did it before":            {[]string{script(t, "postsuper", ""), "{id}"}, "4Xa9bCdEf", true, "", false},
		"postsuper that found it":                 {[]string{script(t, "postsuper", "echo postsuper: Released from hold: 1 message >&2"), "{id}"}, "4Xa9bCdEf", false, "1 message", false},
	} {
		t.Run(name, func(t *testing.T) {
			var said string
			m := &Commands{ReleaseBy: c.program, DeleteBy: c.program, Said: func(_ Item, _, out string) { said = out }}
			err := m.Release(t.Context(), Item{QueueID: c.id, Resumed: c.resumed}, nil)
			if (err != nil) != c.fails {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
			if len(said) > commandOutput+500 {
				t.Errorf("%d bytes are told", len(said))
			}
			if err := m.Delete(t.Context(), Item{QueueID: c.id}); (err != nil) != (c.fails && !strings.Contains(name, "postsuper that") && !strings.Contains(name, "another program") && !strings.Contains(name, "a script that")) {
				t.Errorf("deleting: %v", err)
			}
		})
	}
}

func TestACommandThatHangsIsStopped(t *testing.T) {
	m := &Commands{ReleaseBy: []string{script(t, "hang", "exec tail -f /dev/null"), "{id}"}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := m.Release(ctx, Item{QueueID: "4Xa9bCdEf"}, nil); err == nil || !strings.Contains(err.Error(), "not done within") {
		t.Errorf("got %v", err)
	}
}

func TestMoversByPlace(t *testing.T) {
	mta, store, mailbox := &mover{}, &mover{}, &mover{}
	all := Movers{mta, store, mailbox}
	for _, c := range []struct {
		place             Place
		m                 Movers
		released, deleted *mover
		says              string
	}{
		{PlaceMTA, all, mta, mta, ""},
		{PlaceStore, all, store, nil, ""},
		{PlaceMailbox, all, mailbox, mailbox, ""},
		{PlaceReport, all, nil, nil, "nothing to release"},
		{PlaceMTA, Movers{}, nil, nil, "mail.hold.release"},
		{PlaceStore, Movers{}, nil, nil, "mail.hold.reinject"},
		{PlaceMailbox, Movers{}, nil, nil, "mail sweep"},
		{"moon", all, nil, nil, "moon"},
	} {
		*mta, *store, *mailbox = mover{}, mover{}, mover{}
		err := c.m.Release(t.Context(), Item{Place: c.place}, nil)
		if c.released == nil {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("releasing from %s: %v, want %q", c.place, err, c.says)
			}
		} else if err != nil || len(c.released.released) != 1 {
			t.Errorf("releasing from %s: %v, %v", c.place, err, c.released.released)
		}
		err = c.m.Delete(t.Context(), Item{Place: c.place})
		wants := c.place == PlaceMTA || c.place == PlaceMailbox || c.place == "moon"
		if c.deleted == nil && (err != nil) != wants || c.deleted != nil && (err != nil || len(c.deleted.deleted) != 1) {
			t.Errorf("deleting from %s: %v", c.place, err)
		}
	}
	if errors.Is(ErrGone, ErrNotFound) {
		t.Error("a message that the mail server has no more is told as one that is not held here")
	}
}
