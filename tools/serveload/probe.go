package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// probe sends a marker now and then, and measures how long after its acknowledgement the finding is told to those
// who watch, and the campaign that it belongs to.
type probe struct {
	o         *options
	mu        sync.Mutex
	list      []*marked
	findings  latencies
	campaigns latencies
}

// marked is a marker under way.
type marked struct {
	host, tenant string
	acknowledged time.Time
	finding      string // the id of its rule's finding, once it was told; others may tell of it too, and join no campaign
	sawFinding   time.Time
	sawCampaign  time.Time
}

// run sends markers until the writing context ends, and waits for what is missing until the other ends.
func (p *probe) run(writing, ctx context.Context, senders []*sender) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- p.watch(watching, ready) }()
	select {
	case <-ready:
	case err := <-ended:
		return fmt.Errorf("watching: %w", err)
	}
	for n := 0; pause(writing, p.o.probe); n++ {
		s := senders[1+n%(len(senders)-1)]
		m := &marked{host: fmt.Sprintf("probe-%x-%d", p.o.run&0xffffff, n), tenant: s.org.id}
		body := s.w.marker(nil, s.org, m.host, time.Now().UTC())
		p.mu.Lock()
		p.list = append(p.list, m)
		p.mu.Unlock()
		if err := s.deliver(ctx, "windows", fmt.Sprintf("%x-p-%d", p.o.run, n), body, time.Now(), false); err != nil {
			return err
		}
		p.mu.Lock()
		m.acknowledged = time.Now()
		p.mu.Unlock()
	}
	end := time.Now().Add(30 * time.Second)
	for time.Now().Before(end) && p.left() > 0 && pause(ctx, 100*time.Millisecond) {
	}
	stop()
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.list {
		if !m.sawFinding.IsZero() {
			p.findings.add(max(0, m.sawFinding.Sub(m.acknowledged))) // it may be told before the answer is read
		}
		if !m.sawCampaign.IsZero() {
			p.campaigns.add(max(0, m.sawCampaign.Sub(m.acknowledged)))
		}
	}
	return nil
}

func (p *probe) left() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.list {
		if m.sawCampaign.IsZero() {
			n++
		}
	}
	return n
}

// watch follows the stream of changes, and goes on after it is cut off.
func (p *probe) watch(ctx context.Context, ready chan struct{}) error {
	var last string
	var once sync.Once
	for {
		err := p.follow(ctx, &last, func() { once.Do(func() { close(ready) }) })
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ready:
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
		default:
			return err
		}
	}
}

func (p *probe) follow(ctx context.Context, last *string, ready func()) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.o.url+"/api/v1/watch?only=finding,campaign", nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+p.o.reader)
	if *last != "" {
		r.Header.Set("Last-Event-ID", *last)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	in, kind := bufio.NewReaderSize(answer.Body, 1<<20), ""
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		if name, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			if kind = string(bytes.TrimSpace(name)); kind == "ready" {
				ready()
			}
		} else if id, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			*last = string(bytes.TrimSpace(id))
		} else if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			p.told(kind, data)
		}
	}
}

func (p *probe) told(kind string, data []byte) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.list {
		switch {
		case kind == "finding" && m.sawFinding.IsZero() && bytes.Contains(data, []byte(m.host+`"`)):
			var f struct{ ID, Detector string }
			if json.Unmarshal(data, &f) == nil && f.Detector == "sigma" {
				m.sawFinding, m.finding = now, f.ID
			}
		case kind == "campaign" && m.sawCampaign.IsZero() && m.finding != "" && bytes.Contains(data, []byte(m.finding)):
			m.sawCampaign = now
		}
	}
}
