package posture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of an expression. Cost is CEL's own measure, about one a step and one for ten bytes of text looked at or made,
// so that it bounds memory too: an expression over all facts makes at most about 50 MB of text.
const (
	maxExpression = 4096      // characters
	maxNesting    = 3         // comprehensions in one another
	maxItemCost   = 100_000   // of an expression over one fact
	maxItemsCost  = 5_000_000 // of an expression over all facts
	maxSays       = 400       // bytes of the words for one fact
)

// celItem is a fact as expressions see it.
type celItem struct {
	Subject string         `cel:"subject"`
	At      time.Time      `cel:"at"`
	Tenant  string         `cel:"tenant"`
	Partner string         `cel:"partner"`
	Trust   string         `cel:"trust"`
	Kind    string         `cel:"kind"`
	File    string         `cel:"file"`
	Line    int64          `cel:"line"`
	Values  map[string]any `cel:"values"`
}

// celTenant is the tenant as expressions see it.
type celTenant struct {
	ID   string `cel:"id"`
	Name string `cel:"name"`
	Role string `cel:"role"`
}

func itemForCEL(i *evidence.Item) *celItem {
	return new(celItem).of(i)
}

// of makes the item that of a fact. An evaluation keeps nothing of it once it has answered, so that one serves for all
// that are looked at one by one.
func (c *celItem) of(i *evidence.Item) *celItem {
	*c = celItem{i.Subject, i.At.UTC(), string(i.Tenant), string(i.Partner), string(i.Trust), i.Kind, i.From.File, i.From.Line, i.Values}
	return c
}

// language is what expressions may speak of: over one fact, or over all.
type language struct {
	env  *cel.Env
	cost uint64
}

// languages makes both. CEL's environment costs milliseconds, so that a library makes them once.
func languages() (one, all *language, err error) {
	shared, err := cel.NewEnv(append(functions(),
		ext.NativeTypes(types.NativeTypeFor[celItem](types.ParseStructTag("cel")), types.NativeTypeFor[celTenant](types.ParseStructTag("cel"))),
		cel.Variable("tenant", cel.ObjectType("posture.celTenant")),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("settings", cel.MapType(cel.StringType, cel.DynType)),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.StrictTimestampParsing(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(64),
		cel.ExpressionNodeLimit(10_000),
		cel.RegexProgramSizeLimit(1000),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting)),
		ext.Math(),
	)...)
	if err != nil {
		return nil, nil, fmt.Errorf("making the language of controls: %w", err)
	}
	item := cel.ObjectType("posture.celItem")
	oneEnv, err := shared.Extend(cel.Variable("item", item))
	if err != nil {
		return nil, nil, fmt.Errorf("making the language of controls: %w", err)
	}
	allEnv, err := shared.Extend(cel.Variable("items", cel.ListType(item)))
	if err != nil {
		return nil, nil, fmt.Errorf("making the language of controls: %w", err)
	}
	return &language{oneEnv, maxItemCost}, &language{allEnv, maxItemsCost}, nil
}

// expression is a checked one, ready to run; safe for several goroutines.
type expression struct {
	program cel.Program
}

// badExpression is where an expression is wrong; the line is counted within it, from 1.
type badExpression struct {
	line   int
	reason string
}

func (b *badExpression) Error() string { return b.reason }

// compile checks an expression: its names, types and size, and that each setting it reads has a default.
func (l *language) compile(text string, want *cel.Type, settings map[string]any) (*expression, error) {
	checked, iss := l.env.Compile(text)
	if iss != nil && iss.Err() != nil {
		first := iss.Errors()[0]
		return nil, &badExpression{max(first.Location.Line(), 1), oneLine(first.Message)}
	}
	if out := checked.OutputType(); !out.IsExactType(want) && out.Kind() != types.DynKind {
		return nil, &badExpression{1, fmt.Sprintf("it gives a %s where a %s is needed", out, want)}
	}
	if err := knownSettings(checked.NativeRep(), settings); err != nil {
		return nil, err
	}
	p, err := l.env.Program(checked, cel.CostLimit(l.cost), cel.InterruptCheckFrequency(256),
		cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &badExpression{1, oneLine(err.Error())}
	}
	return &expression{p}, nil
}

// knownSettings refuses settings.name where the control gives name no default: it would be unknown for ever.
func knownSettings(a *ast.AST, settings map[string]any) error {
	var bad error
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind || bad != nil {
			return
		}
		s := e.AsSelect()
		if s.Operand().Kind() != ast.IdentKind || s.Operand().AsIdent() != "settings" {
			return
		}
		if _, ok := settings[s.FieldName()]; !ok {
			bad = &badExpression{a.SourceInfo().GetStartLocation(e.ID()).Line(), fmt.Sprintf("settings.%s has no default under settings", s.FieldName())}
		}
	}))
	return bad
}

// missing is why an expression gave no answer.
type missing struct{ reason string }

func (m *missing) Error() string { return m.reason }

// eval runs an expression. The error is a *missing where the facts don't let it be answered, else the context's.
func (e *expression) eval(ctx context.Context, vars map[string]any) (ref.Val, error) {
	out, _, err := e.program.ContextEval(ctx, vars)
	if err == nil {
		if types.IsUnknownOrError(out) {
			return nil, &missing{"no answer"}
		}
		return out, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &missing{whyMissing(err)}
}

// whyMissing says in plain words why an evaluation failed.
func whyMissing(err error) string {
	s := err.Error()
	switch {
	case strings.HasPrefix(s, "no such key: "):
		return "the evidence does not tell " + oneLine(strings.TrimPrefix(s, "no such key: "))
	case strings.Contains(s, "cost limit exceeded"):
		return "the expression takes more steps than a control may"
	case strings.HasPrefix(s, "no such overload"):
		return "a value is of another type than the expression needs"
	}
	return oneLine(s)
}

// holds runs an expression that gives a bool.
func (e *expression) holds(ctx context.Context, vars map[string]any) (bool, error) {
	out, err := e.eval(ctx, vars)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, &missing{fmt.Sprintf("the expression gave a %s where it must say true or false", out.Type().TypeName())}
	}
	return bool(b), nil
}

// words runs an expression that gives a text; "" where it can't.
func (e *expression) words(ctx context.Context, vars map[string]any) string {
	if e == nil {
		return ""
	}
	out, err := e.eval(ctx, vars)
	if err != nil {
		return ""
	}
	s, ok := out.(types.String)
	if !ok {
		return ""
	}
	return cut(oneLine(string(s)), maxSays)
}

// isMissing tells a fact that does not answer from the end of the context.
func isMissing(err error) (string, bool) {
	var m *missing
	if errors.As(err, &m) {
		return m.reason, true
	}
	return "", false
}

// oneLine makes a text of unknown origin fit for one line of a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
