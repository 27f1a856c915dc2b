package posture

import (
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxMade bounds a text or list that one call makes. CEL counts the cost of a call once it is done, so that a call
// which can make much of little (replace, join) must be bounded by itself; cel-go's own library of texts is not.
const maxMade = 64 << 10 // bytes, or elements

// functions are what expressions may call beside CEL's own. Those of texts have the names and meaning of cel-go's
// extension library.
func functions() []cel.EnvOption {
	text, whole, list := cel.StringType, cel.IntType, cel.ListType(cel.DynType)
	one := func(f func(string) string) cel.OverloadOpt {
		return cel.UnaryBinding(func(v ref.Val) ref.Val {
			s, ok := v.(types.String)
			if !ok {
				return types.MaybeNoSuchOverloadErr(v)
			}
			return types.String(f(string(s)))
		})
	}
	return []cel.EnvOption{
		cel.Function("days", cel.Overload("days_int", []*cel.Type{whole}, cel.DurationType, cel.UnaryBinding(daysOf))),
		cel.Function("sum", cel.Overload("sum_list", []*cel.Type{list}, cel.DoubleType, cel.UnaryBinding(sumOf))),
		cel.Function("lowerAscii", cel.MemberOverload("text_lower", []*cel.Type{text}, text, one(asciiLower))),
		cel.Function("trim", cel.MemberOverload("text_trim", []*cel.Type{text}, text, one(strings.TrimSpace))),
		cel.Function("split", cel.MemberOverload("text_split", []*cel.Type{text, text}, cel.ListType(text), cel.BinaryBinding(split))),
		cel.Function("join",
			cel.MemberOverload("list_join", []*cel.Type{list}, text, cel.UnaryBinding(func(l ref.Val) ref.Val { return join(l, types.String("")) })),
			cel.MemberOverload("list_join_text", []*cel.Type{list, text}, text, cel.BinaryBinding(join))),
		cel.Function("replace", cel.MemberOverload("text_replace", []*cel.Type{text, text, text}, text, cel.FunctionBinding(replace))),
	}
}

// daysOf is days(n): so many times 24 hours, which CEL's duration literals don't spell.
func daysOf(v ref.Val) ref.Val {
	n, ok := v.(types.Int)
	if !ok || n > 36_600 || n < -36_600 {
		return types.NewErr("days takes a whole number of at most 36600")
	}
	return types.Duration{Duration: time.Duration(n) * 24 * time.Hour}
}

// sumOf is sum(list): of its numbers, as a double.
func sumOf(v ref.Val) ref.Val {
	list, ok := v.(traits.Lister)
	if !ok {
		return types.NewErr("sum takes a list of numbers")
	}
	total := 0.0
	for it := list.Iterator(); it.HasNext() == types.True; {
		switch n := it.Next().(type) {
		case types.Int:
			total += float64(n)
		case types.Uint:
			total += float64(n)
		case types.Double:
			total += float64(n)
		default:
			return types.NewErr("sum takes a list of numbers, and one of it is %s", n.Type().TypeName())
		}
	}
	return types.Double(total)
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func split(v, by ref.Val) ref.Val {
	s, ok := v.(types.String)
	sep, ok2 := by.(types.String)
	if !ok || !ok2 {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if len(s) > maxMade {
		return types.NewErr("split takes a text of at most %d bytes", maxMade)
	}
	return types.DefaultTypeAdapter.NativeToValue(strings.Split(string(s), string(sep)))
}

func join(v, by ref.Val) ref.Val {
	list, ok := v.(traits.Lister)
	sep, ok2 := by.(types.String)
	if !ok || !ok2 {
		return types.MaybeNoSuchOverloadErr(v)
	}
	var b strings.Builder
	for it, n := list.Iterator(), 0; it.HasNext() == types.True; n++ {
		s, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("join takes a list of texts")
		}
		if b.Len()+len(sep)+len(s) > maxMade {
			return types.NewErr("join makes a text of at most %d bytes", maxMade)
		}
		if n > 0 {
			b.WriteString(string(sep))
		}
		b.WriteString(string(s))
	}
	return types.String(b.String())
}

func replace(args ...ref.Val) ref.Val {
	var s [3]string
	for i, a := range args {
		text, ok := a.(types.String)
		if !ok || i > 2 {
			return types.MaybeNoSuchOverloadErr(a)
		}
		s[i] = string(text)
	}
	if len(s[0])+strings.Count(s[0], s[1])*len(s[2]) > maxMade {
		return types.NewErr("replace makes a text of at most %d bytes", maxMade)
	}
	return types.String(strings.ReplaceAll(s[0], s[1], s[2]))
}
