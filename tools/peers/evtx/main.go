// Command evtx measures how fast Windows event logs are decoded, by us and by Velocidex/evtx, in turns in one process:
// events per CPU-second over all .evtx files below the given folders, and allocations an event.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	velocidex "www.velocidex.com/golang/evtx"

	"github.com/breakwater-project/breakwater/internal/intake/decode/evtx"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// log is one file in memory.
type log struct {
	name string
	raw  []byte
}

// counter counts events.
type counter struct{ events, bad int }

func (c *counter) Event(*ocsf.Event, int64, []byte) { c.events++ }
func (c *counter) Bad(int64, string, []byte)        { c.bad++ }

func main() {
	rounds := flag.Int("rounds", 7, "how often each decoder has its turn; the middle one counts")
	each := flag.Duration("each", time.Second, "CPU time of a turn")
	flag.Parse()
	if err := run(flag.Args(), *rounds, *each); err != nil {
		fmt.Fprintln(os.Stderr, "evtx:", err)
		os.Exit(1)
	}
}

func run(folders []string, rounds int, each time.Duration) error {
	runtime.GOMAXPROCS(1)
	logs, err := read(folders)
	if err != nil {
		return err
	}
	decoders := []struct {
		name   string
		decode func(*log) (int, error)
	}{{"Breakwater", ours}, {"Velocidex/evtx v0.2.0", theirs}}
	rates, allocs := make([][]float64, len(decoders)), make([][]float64, len(decoders))
	counts := make([]int, len(decoders))
	for range rounds {
		for i, d := range decoders {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			begin, events, passes := cpu(), 0, 0
			for cpu()-begin < each {
				for j := range logs {
					n, err := d.decode(&logs[j])
					if err != nil {
						return fmt.Errorf("%s: %s: %w", d.name, logs[j].name, err)
					}
					events += n
				}
				passes++
			}
			spent := (cpu() - begin).Seconds()
			runtime.ReadMemStats(&after)
			counts[i] = events / passes
			rates[i] = append(rates[i], float64(events)/spent)
			allocs[i] = append(allocs[i], float64(after.Mallocs-before.Mallocs)/float64(events))
		}
	}
	fmt.Println("| decoder | events of the files | events/CPU-s, middle of", rounds, "turns | lowest to highest | allocations an event |\n| --- | ---: | ---: | ---: | ---: |")
	for i, d := range decoders {
		slices.Sort(rates[i])
		fmt.Printf("| %s | %d | %.0f | %.0f to %.0f | %.0f |\n", d.name, counts[i], middle(rates[i]), rates[i][0], rates[i][len(rates[i])-1], middle(allocs[i]))
	}
	fmt.Printf("\nRatio: %.1f\n", middle(rates[0])/middle(rates[1]))
	return nil
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func read(folders []string) ([]log, error) {
	var out []log
	for _, dir := range folders {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".evtx") {
				return err
			}
			raw, err := os.ReadFile(path)
			out = append(out, log{path, raw})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no .evtx below " + strings.Join(folders, ", "))
	}
	return out, nil
}

var stream = evtx.Stream()

func ours(l *log) (int, error) {
	var c counter
	err := stream.Read(context.Background(), l.name, bytes.NewReader(l.raw), &c)
	if err == nil && c.bad > 0 {
		err = fmt.Errorf("%d records are bad", c.bad)
	}
	return c.events, err
}

func theirs(l *log) (int, error) {
	chunks, err := velocidex.GetChunks(bytes.NewReader(l.raw))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, c := range chunks {
		records, err := c.Parse(0)
		if err != nil {
			return n, err
		}
		n += len(records)
	}
	return n, nil
}

// cpu is the CPU time that the process has used, of user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
