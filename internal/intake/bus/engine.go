package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	startWithin  = 5 * time.Minute  // it reads the whole store where its index is not the newest
	answerWithin = 60 * time.Second // of silence, after which the server counts as broken
)

// errBroken is the cause of an engine's end that is not of our making.
var errBroken = errors.New("the embedded queue stopped working")

// engine is one life of the embedded server. Once it failed to write it will not write again, and another is to
// take its place.
type engine struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	life   context.Context
	fail   context.CancelCauseFunc // may be called at any time, any number of times
}

// start runs the server over a store that was mended.
func start(dir string, log *slog.Logger) (*engine, error) {
	e := &engine{}
	e.life, e.fail = context.WithCancelCause(context.Background())
	var err error
	e.server, err = server.NewServer(&server.Options{
		ServerName: "breakwater", DontListen: true, NoSigs: true, DisableJetStreamBanner: true, NoSystemAccount: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		// Room is ours to watch: the server would fix its limit by what is free when it starts.
		JetStreamMaxStore: 1 << 60, JetStreamMaxMemory: 1 << 20,
		MaxPayload: MaxPayload,
		MaxPending: 4 * MaxPayload,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the embedded queue in %s: %w", dir, err)
	}
	e.server.SetLoggerV2(&serverLog{log: log, fail: e.fail}, false, false, false)
	started := make(chan struct{})
	go func() {
		defer close(started)
		e.server.Start()
	}()
	if err := e.connect(started); err != nil {
		<-started
		e.stop()
		return nil, fmt.Errorf("starting the embedded queue in %s: %w", dir, err)
	}
	return e, nil
}

func (e *engine) connect(started <-chan struct{}) error {
	select {
	case <-started:
	case <-e.life.Done():
		return context.Cause(e.life)
	case <-time.After(startWithin):
		return fmt.Errorf("it was not ready within %s", startWithin)
	}
	if !e.server.ReadyForConnections(10 * time.Second) {
		if err := context.Cause(e.life); err != nil {
			return err
		}
		return errors.New("it takes no connections")
	}
	var err error
	e.conn, err = nats.Connect("", nats.InProcessServer(e.server), nats.NoReconnect(), nats.NoCallbacksAfterClientClose(),
		nats.ClosedHandler(func(*nats.Conn) { e.fail(errBroken) }))
	if err != nil {
		return fmt.Errorf("connecting to it: %w", err)
	}
	if e.js, err = jetstream.New(e.conn); err != nil {
		return fmt.Errorf("connecting to it: %w", err)
	}
	ctx, cancel := context.WithTimeout(e.life, answerWithin)
	defer cancel()
	if _, err = e.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subjectPrefix + "*"}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardOld, MaxConsumers: -1, MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, Replicas: 1,
	}); err != nil {
		return fmt.Errorf("opening its stream: %w", e.cause(err))
	}
	return nil
}

// cause prefers the reason for which the engine ended to the symptom.
func (e *engine) cause(err error) error {
	if c := context.Cause(e.life); c != nil {
		return c
	}
	return err
}

// publish returns when the server has the message on disk.
func (e *engine) publish(ctx context.Context, subject string, msg []byte) (uint64, error) {
	silence := fmt.Errorf("%w: no answer within %s", errBroken, answerWithin)
	wait, cancel := context.WithTimeoutCause(ctx, answerWithin, silence)
	defer cancel()
	// The server gives no answer when it can't write: its log is where we learn of it.
	defer context.AfterFunc(e.life, cancel)()
	reply, err := e.conn.RequestWithContext(wait, subject, msg)
	if err != nil {
		if context.Cause(wait) == silence {
			e.fail(silence)
		}
		return 0, e.cause(err)
	}
	var ack struct {
		Seq   uint64 `json:"seq"`
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(reply.Data, &ack); {
	case err != nil:
		return 0, fmt.Errorf("reading the server's answer: %w", err)
	case ack.Error != nil:
		return 0, fmt.Errorf("the server answers: %s", ack.Error.Description)
	case ack.Seq == 0:
		return 0, errors.New("the server's answer names no place")
	}
	return ack.Seq, nil
}

// trim lets go of every message before a place.
func (e *engine) trim(ctx context.Context, before uint64) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	s, err := e.js.Stream(ctx, streamName)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(before))
	}
	if err != nil {
		return e.cause(err)
	}
	return nil
}

// stop ends the server and waits for it.
func (e *engine) stop() {
	if e.conn != nil {
		e.conn.Close()
	}
	e.server.Shutdown()
	e.server.WaitForShutdown()
	e.fail(errBroken)
}

// serverLog passes on what the server logs, and notices when it says that it will write no more.
type serverLog struct {
	log  *slog.Logger
	fail context.CancelCauseFunc
}

func (l *serverLog) say(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if strings.HasPrefix(text, "Missing stream metafile") {
		level = slog.LevelDebug // it is so in a new folder; what is damaged was mended and told before the start
	}
	l.log.Log(context.Background(), level, "embedded queue: "+strings.TrimSpace(text))
	if level < slog.LevelWarn {
		return
	}
	for _, sign := range [...]string{"failed to store a msg", "critical write error", "Critical write error", "disabling JetStream", "will be DISABLED", "Can't start JetStream"} {
		if !strings.Contains(text, sign) {
			continue
		}
		cause := fmt.Errorf("%w: %s", errBroken, text)
		for _, a := range v {
			if err, ok := a.(error); ok {
				cause = fmt.Errorf("%w: %s: %w", errBroken, text, err)
			}
		}
		l.fail(cause)
	}
}

func (l *serverLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *serverLog) Fatalf(format string, v ...any) {
	l.say(slog.LevelError, format, v)
	l.fail(fmt.Errorf("%w: "+format, append([]any{errBroken}, v...)...))
}
func (l *serverLog) Errorf(format string, v ...any) { l.say(slog.LevelError, format, v) }
func (l *serverLog) Debugf(string, ...any)          {}
func (l *serverLog) Tracef(string, ...any)          {}
