package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// maxOutput bounds what is kept of a program's output in bytes; the rest is thrown away.
const maxOutput = 4 << 20

// program runs the programs of one drill.
type program struct {
	dir  string   // folder in which programs are looked for; empty: PATH
	env  []string // beside the few variables that programs need
	home string   // folder for caches and settings
	as   *account // whose rights they have; nil: ours
}

// account is a user of the system.
type account struct{ uid, gid uint32 }

// find returns the absolute path of a program.
func (p *program) find(name string) (string, error) {
	if p.dir != "" {
		name = filepath.Join(p.dir, name)
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed here: %w", filepath.Base(name), err)
	}
	return filepath.Abs(found)
}

// searched is PATH without what is relative in it: a program that runs among restored files (borg does) would look for
// its helpers, such as ssh, there.
func searched(list string) string {
	var out []string
	for _, dir := range filepath.SplitList(list) {
		if filepath.IsAbs(dir) {
			out = append(out, dir)
		}
	}
	return strings.Join(out, string(filepath.ListSeparator))
}

// environment is what a program is given: nothing of ours but where programs are, and the drill's own.
func (p *program) environment() []string {
	return append([]string{"PATH=" + searched(os.Getenv("PATH")), "HOME=" + p.home, "LANG=C.UTF-8", "TZ=UTC", "TMPDIR=" + p.home, "XDG_CACHE_HOME=" + p.home}, p.env...)
}

func (p *program) command(ctx context.Context, dir, name string, args ...string) (*exec.Cmd, error) {
	found, err := p.find(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, found, args...)
	cmd.Dir, cmd.Env = dir, p.environment()
	cmd.WaitDelay = 10 * time.Second
	alone(cmd, p.as)
	return cmd, nil
}

// run runs a program to its end in dir and returns what it wrote, capped. An error says how it ended and the last line
// of its complaint.
func (p *program) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	var out capped
	err := p.runTo(ctx, dir, &out, name, args...)
	return out.data.Bytes(), err
}

// runTo is run with what the program writes given to out.
func (p *program) runTo(ctx context.Context, dir string, out io.Writer, name string, args ...string) error {
	cmd, err := p.command(ctx, dir, name, args...)
	if err != nil {
		return err
	}
	var complaint capped
	cmd.Stdout, cmd.Stderr = out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s was ended: %w", name, context.Cause(ctx))
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("%s ended with %d: %s", name, exit.ExitCode(), lastWords(complaint.data.String()))
		}
		return fmt.Errorf("running %s: %w", name, err)
	}
	return nil
}

// capped keeps the first maxOutput bytes.
type capped struct{ data bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if room := maxOutput - c.data.Len(); room > 0 {
		c.data.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// lastWords is the last line that says something, without control characters, cut to what a message bears.
func lastWords(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := ""
	for i := len(lines) - 1; i >= 0 && last == ""; i-- {
		last = strings.TrimSpace(lines[i])
	}
	last = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, last)
	if len(last) > 300 {
		last = strings.ToValidUTF8(last[:300], "") + "…"
	}
	if last == "" {
		return "it said nothing"
	}
	return last
}

// password returns the repository's password as the drill says where it is, for the named variables.
func (d *Drill) password(file, direct string) ([]string, error) {
	switch {
	case d.Password.File != "":
		name := d.file(d.Password.File)
		if _, err := os.Stat(name); err != nil {
			return nil, fmt.Errorf("the password of the repository: %w", err)
		}
		if file != "" {
			return []string{file + "=" + name}, nil
		}
		text, err := readPassword(name)
		if err != nil {
			return nil, fmt.Errorf("the password of the repository: %w", err)
		}
		return []string{direct + "=" + strings.TrimRight(string(text), "\r\n")}, nil
	case d.Password.Env != "":
		v, ok := os.LookupEnv(d.Password.Env)
		if !ok {
			return nil, fmt.Errorf("the password of the repository: the environment variable %s is not set", d.Password.Env)
		}
		return []string{direct + "=" + v}, nil
	}
	return nil, nil
}

// maxPassword bounds a password's file in bytes.
const maxPassword = 64 << 10

func readPassword(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, maxPassword)
}
