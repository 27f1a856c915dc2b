package mailgate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Clamd returns a function for Options.Malware that asks ClamAV's daemon at an address, unix:/path or host:port, with
// the INSTREAM command of its protocol (clamd(8)). Nothing leaves this machine but to that address.
func Clamd(address string) func(ctx context.Context, raw []byte) (string, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	return func(ctx context.Context, raw []byte) (string, error) {
		found, err := instream(ctx, network, address, raw)
		if err != nil {
			return "", fmt.Errorf("asking clamd at %s: %w", address, err)
		}
		return found, nil
	}
}

func instream(ctx context.Context, network, address string, raw []byte) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	w := bufio.NewWriterSize(conn, 64<<10)
	w.WriteString("zINSTREAM\x00")
	var size [4]byte
	for len(raw) > 0 {
		n := min(len(raw), 64<<10)
		binary.BigEndian.PutUint32(size[:], uint32(n))
		w.Write(size[:])
		w.Write(raw[:n])
		raw = raw[n:]
	}
	w.Write([]byte{0, 0, 0, 0})
	werr := w.Flush() // where clamd has enough of it, it says so and closes
	answer, err := io.ReadAll(io.LimitReader(conn, 4<<10))
	if len(answer) == 0 {
		return "", errors.Join(werr, err, ctx.Err(), errors.New("it gave no answer"))
	}
	line := string(bytes.TrimRight(answer, "\x00\r\n"))
	line = strings.TrimPrefix(line, "stream: ")
	if name, ok := strings.CutSuffix(line, " FOUND"); ok {
		return name, nil
	}
	if line == "OK" {
		return "", nil
	}
	return "", fmt.Errorf("it answered %q", oneLine(line))
}
