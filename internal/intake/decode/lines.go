package decode

import (
	"context"
	"fmt"
	"io"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Lines calls each for every line of r that is not too long; one that is goes to sink.Bad. The number of a
// record is its line's. An error from each is the record's: it goes to sink.Bad and the stream goes on.
func Lines(ctx context.Context, r io.Reader, sink Sink, each func(n int64, line []byte) error) error {
	lr := bounded.NewLineReader(r, MaxRecord)
	for {
		line, n, tooLong, err := lr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if tooLong {
			sink.Bad(n, fmt.Sprintf("line is longer than %d bytes", MaxRecord), line)
			continue
		}
		if err := each(n, line); err != nil {
			sink.Bad(n, err.Error(), line)
		}
	}
}
