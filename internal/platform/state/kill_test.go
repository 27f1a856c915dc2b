package state

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

const writerFolder = "BREAKWATER_TEST_STATE_WRITER"

// TestMain writes until it is killed where TestKillLosesNoCommittedRow started it.
func TestMain(m *testing.M) {
	if dir := os.Getenv(writerFolder); dir != "" {
		if err := writeForever(dir, os.Getenv(writerFolder+"_FROM")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForever prints each id once its transaction is committed.
func writeForever(dir, from string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", from, i)
		if err := s.ChangeAnswers(context.Background(), []Answer{answer(Finding, id, t0, "acme")}, nil); err != nil {
			return err
		}
		fmt.Println(id)
	}
}

func TestKillLosesNoCommittedRow(t *testing.T) {
	dir := t.TempDir()
	committed := map[string]bool{}
	for round := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerFolder+"="+dir, fmt.Sprintf("%s_FROM=%d", writerFolder, round))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		lines := bufio.NewScanner(out)
		until := 1 + rand.IntN(60)
		for n := 0; lines.Scan(); n++ {
			committed[lines.Text()] = true
			if n == until {
				ok(t, cmd.Process.Kill())
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the writer ended by itself")
		}
	}
	s := open(t, dir) // damage would fail the test
	found := map[string]bool{}
	for _, a := range must(s.Answers(t.Context(), everything, AnswerQuery{Kind: Finding, Limit: 1 << 20}))(t) {
		found[a.ID] = true
	}
	for id := range committed {
		if !found[id] {
			t.Errorf("%s was committed and is lost", id)
		}
	}
	if len(committed) < 24 {
		t.Errorf("only %d rows were committed", len(committed))
	}
}

// TestTwoProcessesWriteAtOnce: a second one may open, read and write while another has the state open.
func TestTwoProcessesWriteAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerFolder+"="+dir, writerFolder+"_FROM=other")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	lines := bufio.NewScanner(out)
	theirs := 0
	for i := range 30 {
		ok(t, s.ChangeAnswers(t.Context(), []Answer{answer(Finding, fmt.Sprint("ours-", i), t0, "acme")}, nil))
		if lines.Scan() {
			theirs++
		}
	}
	ok(t, cmd.Process.Kill())
	for lines.Scan() {
		theirs++
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	if n := len(must(s.Answers(t.Context(), everything, AnswerQuery{Kind: Finding, Limit: 1 << 20}))(t)); theirs < 30 || n < 30+theirs {
		t.Errorf("%d rows of ours and theirs, which were %d", n, theirs)
	}
}
