package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// BenchmarkOpen opens a state of 100,000 findings of about 2 kB, the check of the whole file included.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 2000)
	for i := range 100 {
		var list []Answer
		for j := range 1000 {
			a := answer(Finding, fmt.Sprint(i, "-", j), t0.Add(time.Duration(j)*time.Second), tenant.ID(fmt.Sprint("t", j%20)))
			a.Body = body
			list = append(list, a)
		}
		if err := s.ChangeAnswers(b.Context(), list, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(dir, Options{Damage: func(line string) { b.Error(line) }})
		if err != nil {
			b.Fatal(err)
		}
		if list, err := s.Answers(b.Context(), tenant.ScopeOf("t3"), AnswerQuery{Kind: Finding, Limit: 100}); err != nil || len(list) != 100 {
			b.Fatalf("%d findings, %v", len(list), err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListByScope(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var list []Answer
	for j := range 20000 {
		list = append(list, answer(Finding, fmt.Sprint(j), t0.Add(time.Duration(j)*time.Second), tenant.ID(fmt.Sprint("t", j%20))))
	}
	if err := s.ChangeAnswers(b.Context(), list, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if list, err := s.Answers(b.Context(), tenant.ScopeOf("t3"), AnswerQuery{Kind: Finding, Limit: 100}); err != nil || len(list) != 100 {
			b.Fatalf("%d findings, %v", len(list), err)
		}
	}
}

func BenchmarkAddDeadLetters(b *testing.B) {
	s, err := Open(b.TempDir(), Options{DeadLettersPerSensor: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	raw := make([]byte, 1024)
	seq := uint64(0)
	for b.Loop() {
		var list []DeadLetter
		for i := range 500 {
			list = append(list, DeadLetter{ID: DeadLetterID{seq, uint32(i)}, Tenant: "acme", Sensor: "fw", Time: t0, Reason: "no JSON", Raw: raw})
		}
		seq++
		if err := s.AddDeadLetters(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}
