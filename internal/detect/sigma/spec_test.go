package sigma

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// specCase is one sentence of the specification with events that it is about. A field's value is given as name=value.
type specCase struct {
	clause   string // of which part of the specification, and what it says
	item     string // one item of a selection, in YAML
	yes, no  []string
	rejected string // part of the reason; empty: the rule loads
}

// TestSpecificationOfValuesAndModifiers goes through the Sigma rules specification 2.1.0 and its modifiers appendix.
// The public corpus uses few of these.
func TestSpecificationOfValuesAndModifiers(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []specCase{
		{"General: values are case-insensitive", `F: AbC`, []string{"F=aBc", "F=ABC"}, []string{"F=ab", "F=abcd", ""}, ""},
		{"General: also outside ASCII", `F: ÄÖ`, []string{"F=äö"}, []string{"F=ao"}, ""},
		{"General: numbers are compared as text", `F: 42`, []string{"F=42"}, []string{"F=420", "F=4"}, ""},
		{"String Wildcard: ? replaces a single mandatory character", `F: 'prog?.exe'`, []string{"F=progA.exe", "F=progé.exe"}, []string{"F=prog.exe", "F=progAB.exe"}, ""},
		{"String Wildcard: * replaces an unbounded length", `F: 'antivirus_V*.exe'`, []string{"F=antivirus_V1.exe", "F=antivirus_V21.2.1.exe", "F=antivirus_V.exe"}, []string{"F=antivirus_V1.exe2"}, ""},
		{"Escaping: a plain backslash is a single one", `F: 'a\b'`, []string{`F=a\b`}, []string{`F=a\\b`, "F=ab"}, ""},
		{"Escaping: or a double one", `F: 'a\\b'`, []string{`F=a\b`}, []string{`F=a\\b`}, ""},
		{"Escaping: a wildcard has to be escaped to be plain", `F: 'a\*b\?'`, []string{"F=a*b?"}, []string{"F=axb?", "F=a*bx"}, ""},
		{"Escaping: \\\\* is a backslash and a wildcard", `F: 'a\\*'`, []string{`F=a\b`, `F=a\`}, []string{`F=ab`, "F=a*"}, ""},
		{"Escaping: \\\\\\* is a backslash and a star", `F: 'a\\\*'`, []string{`F=a\*`}, []string{`F=a\b`, `F=a\`}, ""},
		{"Escaping: three backslashes are two", `F: '\\\srv'`, []string{`F=\\srv`}, []string{`F=\srv`, `F=\\\srv`}, ""},
		{"Escaping: four backslashes are two", `F: '\\\\srv'`, []string{`F=\\srv`}, []string{`F=\srv`}, ""},
		{"Escaping: \\\\? is a backslash and any character", `F: 'a\\?'`, []string{`F=a\x`}, []string{`F=a\`, "F=a?"}, ""},
		{"Escaping: \\? alone is a question mark", `F: '\?'`, []string{"F=?"}, []string{"F=x", `F=\?`}, ""},
		{"Escaping: behind backslashes wildcards still work", `F|startswith: '\\\\*\x'`, []string{`F=\\ab\xc`}, []string{`F=\*\x`, `F=\ab\x`}, ""},
		{"endswith: a backslash alone", `F|endswith: '\'`, []string{`F=a\`}, []string{"F=a"}, ""},
		{"General: a number in hexadecimal, as written and in decimal", `F: 0x10`, []string{"F=0x10", "F=16"}, []string{"F=10"}, ""},
		{"General: a number with a fraction", `F: 1.50`, []string{"F=1.50", "F=1.5"}, []string{"F=15"}, ""},
		{"General: a text of digits is no number", `F: '042'`, []string{"F=042"}, []string{"F=42"}, ""},
		{"General: booleans are words", `F: true`, []string{"F=true", "F=True"}, []string{"F=1", "F=yes"}, ""},
		{"General: dates are text", `F: 2025-01-01`, []string{"F=2025-01-01"}, []string{"F=2025-01-01T00:00:00Z"}, ""},
		{"String Wildcard: * alone is any value, also an empty one", `F: '*'`, []string{"F=x", "F="}, []string{""}, ""},
		{"String Wildcard: ?* is a value that is not empty", `F: '?*'`, []string{"F=x"}, []string{"", "F="}, ""},
		{"General: names with a hyphen", `c-ip: x`, []string{"c-ip=x"}, []string{"cip=x"}, ""},
		{"an empty list asks nothing", `F: []`, nil, nil, "empty list"},
		{"Lists: values are linked with OR", `F: [a, b]`, []string{"F=a", "F=b"}, []string{"F=c"}, ""},
		{"Field Usage: spaces are stripped from names", `New Value: x`, []string{"NewValue=x", "New Value=x"}, []string{"Value=x"}, ""},
		{"Special Field Values: '' is an empty value", `F: ''`, []string{"F="}, []string{"F=x", "", "G="}, ""},
		{"Special Field Values: null is no value", `F: null`, []string{"", "G=x"}, []string{"F=", "F=x"}, ""},
		{"Special Field Values: null in a list", `F: [null, x]`, []string{"", "F=x"}, []string{"F=", "F=y"}, ""},
		{"Field Existence: exists true", `F|exists: true`, []string{"F=x", "F="}, []string{"", "G=x"}, ""},
		{"exists checks the presence, not the value", `F|exists: false`, []string{"", "G=x"}, []string{"F=", "F=x"}, ""},
		{"exists takes a boolean", `F|exists: maybe`, nil, nil, "true or false"},

		{"all links a list with AND", `F|contains|all: [foo, bar]`, []string{"F=barfoo"}, []string{"F=foo", "F=bar"}, ""},
		{"all may stand before contains", `F|all|contains: [foo, bar]`, []string{"F=barfoo"}, []string{"F=foo"}, ""},
		{"startswith: the value is at the beginning", `F|startswith: adm`, []string{"F=adm", "F=ADMIN"}, []string{"F=xadm"}, ""},
		{"endswith: the value is at the end", `F|endswith: '\cmd.exe'`, []string{`F=C:\CMD.exe`}, []string{`F=C:\cmd.exe `}, ""},
		{"contains: the value is anywhere", `F|contains: b`, []string{"F=abc", "F=B"}, []string{"F=ac"}, ""},
		{"contains: a value's own wildcards stay", `F|contains: 'a*b?d'`, []string{"F=xa-bcdx"}, []string{"F=xabd"}, ""},
		{"contains: a backslash at the end escapes nothing", `F|contains: 'dir\'`, []string{`F=x\dir\y`}, []string{`F=x\dir*`}, ""},
		{"startswith and endswith in one item are contains", `F|startswith|endswith: b`, []string{"F=abc"}, []string{"F=ac"}, ""},
		{"contains finds the empty text in any value", `F|contains: ''`, []string{"F=x", "F="}, []string{""}, ""},
		{"contains is applied to any type of value", `F|contains: 62`, []string{"F=4625"}, []string{"F=4652"}, ""},
		{"cased: values are applied case sensitively", `F|cased: AbC`, []string{"F=AbC"}, []string{"F=abc"}, ""},
		{"cased with contains", `F|contains|cased: Mimikatz`, []string{"F=xMimikatzx"}, []string{"F=xmimikatzx"}, ""},
		{"cased before startswith", `F|cased|startswith: Ab`, []string{"F=Abc"}, []string{"F=abc"}, ""},
		{"cased with endswith and wildcards", `F|cased|endswith: 'A?c'`, []string{"F=xAbc"}, []string{"F=xabc"}, ""},
		{"neq: the field is different from the value", `F|neq: x`, []string{"F=y", "F="}, []string{"F=x", "F=X"}, ""},
		{"neq: from all values of a list", `F|neq: [x, y]`, []string{"F=z"}, []string{"F=x", "F=y"}, ""},
		{"neq can be used with numbers", `F|neq: 4624`, []string{"F=4625"}, []string{"F=4624"}, ""},
		{"neq with contains", `F|contains|neq: x`, []string{"F=y"}, []string{"F=axb"}, ""},
		{"neq of an absent field: nothing equals the value", `F|neq: x`, []string{""}, nil, ""},
		{"neq with re", `F|re|neq: '^a'`, []string{"F=ba"}, []string{"F=ab"}, ""},
		{"neq with cidr", `F|cidr|neq: 10.0.0.0/8`, []string{"F=11.0.0.1"}, []string{"F=10.0.0.1"}, ""},

		{"neq with all: not all of them", `F|neq|all|contains: ['a', 'b']`, []string{"F=a", "F=c"}, []string{"F=ab"}, ""},
		{"neq of null is presence", `F|neq: null`, []string{"F=x", "F="}, []string{""}, ""},
		{"neq of the empty value", `F|neq: ''`, []string{"F=x", ""}, []string{"F="}, ""},
		{"neq with exists", `F|exists|neq: true`, []string{""}, []string{"F=x"}, ""},
		{"neq with a part of a time", `F|hour|neq: 1`, []string{"F=2025-01-01T02:00:00Z"}, []string{"F=2025-01-01T01:00:00Z"}, ""},
		{"cased with wildcards inside", `F|cased: 'A*c?'`, []string{"F=AxxcD"}, []string{"F=axxcd", "F=AxxC"}, ""},
		{"cased with all", `F|all|contains|cased: ['Ab', 'Cd']`, []string{"F=CdAb"}, []string{"F=cdAb"}, ""},
		{"cased null is null", `F|cased: null`, []string{""}, []string{"F=x"}, ""},

		{"windash: a dash behind a dash", `F|windash|contains: '--foo'`, []string{"F=x --foo", "F=x -/foo"}, []string{"F=x //foo"}, ""},
		{"windash: a dash behind a quote", `F|windash|contains: '"-foo'`, []string{`F=x "/foo`}, nil, ""},
		{"windash: with all", `F|contains|all|windash: [' -a', ' -b']`, []string{"F=x /a –b"}, []string{"F=x /a"}, ""},
		{"windash goes with no expression", `F|windash|re: '-a'`, nil, nil, "don't go together"},
		{"windash: - may be /", `F|windash|contains: ' -f'`, []string{"F=x -f", "F=x /f"}, []string{"F=x f"}, ""},
		{"windash: and en dash, em dash, horizontal bar", `F|windash|contains: ' -f'`, []string{"F=x –f", "F=x —f", "F=x ―f"}, []string{"F=x ‐f"}, ""},
		{"windash: from / too", `F|contains|windash: ' /c '`, []string{"F=cmd -c x", "F=cmd /c x"}, []string{"F=cmd c x"}, ""},
		{"windash: all permutations, so dashes may be mixed", `F|windash: '-a /b'`, []string{"F=-a -b", "F=/a –b", "F=―a /b"}, []string{"F=a b"}, ""},
		{"windash: a dash inside a word stays", `F|windash: 'x-y -z'`, []string{"F=x-y /z"}, []string{"F=x/y /z"}, ""},
		{"windash before base64", `F|windash|base64|contains: '-e'`, []string{"F=" + b64([]byte("-e")), "F=" + b64([]byte("/e"))}, []string{"F=-e"}, ""},
		{"windash with three options", `F|windash|startswith: '-a -b -c'`, []string{"F=/a -b –c!"}, []string{"F=/a -b c"}, ""},

		{"re: the value is a regular expression", `F|re: 'a[0-9]{2}b'`, []string{"F=xa42bx"}, []string{"F=a4b"}, ""},
		{"re: case-sensitive by default", `F|re: 'Abc'`, []string{"F=Abc"}, []string{"F=abc"}, ""},
		{"re: anchors", `F|re: '^ab$'`, []string{"F=ab"}, []string{"F=xab", "F=abx", "F=x\nab"}, ""},
		{"re: alternation and groups", `F|re: '^(foo|bar)+$'`, []string{"F=foobar"}, []string{"F=foob"}, ""},
		{"re: dot is no newline", `F|re: 'a.b'`, []string{"F=a-b"}, []string{"F=a\nb"}, ""},
		{"re i: case-insensitive", `F|re|i: 'abc'`, []string{"F=ABC"}, nil, ""},
		{"re m: ^ and $ match at lines", `F|re|m: '^ab$'`, []string{"F=x\nab\ny"}, []string{"F=x\nabc"}, ""},
		{"re s: dot is any character", `F|re|s: 'a.b'`, []string{"F=a\nb"}, nil, ""},
		{"re with several flags", `F|re|i|m|s: '^A.B$'`, []string{"F=x\na\nb\ny"}, []string{"F=xa\nb"}, ""},
		{"re flags by their long names", `F|re|ignorecase|multiline|dotall: '^A.B$'`, []string{"F=x\na\nb\ny"}, []string{"F=xa\nb"}, ""},
		{"re with all", `F|re|all: ['a+', 'b+']`, []string{"F=ab"}, []string{"F=a"}, ""},
		{"re with startswith: at the beginning of the field", `F|re|startswith: 'a|b'`, []string{"F=bx"}, []string{"F=xa"}, ""},
		{"re with endswith: at its end", `F|re|endswith: 'a|b'`, []string{"F=xa"}, []string{"F=ax"}, ""},
		{"re: other metacharacters are unsupported", `F|re: '(?<!x)a'`, nil, nil, "look-around"},
		{"re: back-references are unsupported", `F|re: '(a)\1'`, nil, nil, "back-references"},
		{"re flags before re", `F|i|re: 'A'`, []string{"F=a"}, nil, ""},
		{"re: an escaped slash is one", `F|re: 'a\/b'`, []string{"F=a/b"}, nil, ""},
		{"re: an empty alternative", `F|re: 'a(|b)c'`, []string{"F=ac", "F=abc"}, []string{"F=axc"}, ""},
		{"re: word boundaries", `F|re: '\bfoo\b'`, []string{"F=a foo b"}, []string{"F=afoo"}, ""},
		{"re with i and neq", `F|re|i|neq: '^a'`, []string{"F=b"}, []string{"F=Ab"}, ""},
		{"re flags belong to re", `F|i: x`, nil, nil, "belong to re"},
		{"re on encoded text makes no sense", `F|base64|re: x`, nil, nil, "don't go together"},

		{"base64: the value is encoded", `F|base64: foobar`, []string{"F=Zm9vYmFy"}, []string{"F=foobar", "F=xZm9vYmFy"}, ""},
		{"base64: letters of different case are different bytes", `F|base64: foobar`, nil, []string{"F=ZM9VYMFY"}, ""},
		{"base64 with wildcards is an error", `F|base64: 'foo*'`, nil, nil, "wildcards"},
		{"base64 after contains is an error: wildcards can't be encoded", `F|contains|base64: foo`, nil, nil, "wildcards"},
		{"base64 with an escaped wildcard is none", `F|base64: 'a\*'`, []string{"F=" + b64([]byte("a*"))}, nil, ""},
		{"base64offset: the text anywhere in a longer one", `F|base64offset|contains: foobar`,
			[]string{"F=" + b64([]byte("foobar!")), "F=" + b64([]byte("xfoobar!")), "F=" + b64([]byte("xyfoobar!")), "F=" + b64([]byte("xyzfoobar"))}, []string{"F=" + b64([]byte("fooXbar"))}, ""},
		{"base64offset of bytes beyond ASCII", `F|base64offset|contains: 'é€'`, []string{"F=" + b64([]byte("xé€y")), "F=" + b64([]byte("xyé€"))}, nil, ""},
		{"utf16le", `F|utf16le|base64: cmd`, []string{"F=" + b64([]byte("c\x00m\x00d\x00"))}, nil, ""},
		{"wide is an alias for utf16le", `F|wide|base64: cmd`, []string{"F=" + b64([]byte("c\x00m\x00d\x00"))}, nil, ""},
		{"utf16be", `F|utf16be|base64: cmd`, []string{"F=" + b64([]byte("\x00c\x00m\x00d"))}, nil, ""},
		{"utf16 prepends a byte order mark", `F|utf16|base64: cmd`, []string{"F=" + b64([]byte("\xff\xfec\x00m\x00d\x00"))}, []string{"F=" + b64([]byte("c\x00m\x00d\x00"))}, ""},
		{"wide alone is found in wide text", `F|wide|contains: cmd`, []string{"F=xc\x00m\x00d\x00x", "F=C\x00M\x00D\x00"}, []string{"F=cmd"}, ""},
		{"wide keeps wildcards that come after it", `F|wide|startswith: cm`, []string{"F=c\x00m\x00d\x00"}, []string{"F=xc\x00m\x00"}, ""},
		{"Value Modifiers: applied in the given order", `F|wide|base64offset|contains: 'ping'`, []string{"F=" + b64([]byte("xp\x00i\x00n\x00g\x00y"))}, []string{"F=" + b64([]byte("ping"))}, ""},

		{"lt", `F|lt: 10`, []string{"F=9", "F=-1", "F=9.9"}, []string{"F=10", "F=x", ""}, ""},
		{"lte", `F|lte: 10`, []string{"F=10"}, []string{"F=11"}, ""},
		{"gt", `F|gt: 10`, []string{"F=11", "F=1e3"}, []string{"F=10", "F=NaN", "F=inf"}, ""},
		{"gte", `F|gte: 10`, []string{"F=10", "F=0x0a"}, []string{"F=9"}, ""},
		{"numbers beyond 2^53 are exact", `F|gt: 9007199254740992`, []string{"F=9007199254740993"}, []string{"F=9007199254740992"}, ""},
		{"fractions", `F|gte: 0.5`, []string{"F=0.5", "F=1"}, []string{"F=0.4999"}, ""},
		{"lt of a negative fraction", `F|lt: -1.5`, []string{"F=-2"}, []string{"F=-1"}, ""},
		{"gt of what is no number", `F|gt: 0`, []string{"F=1"}, []string{"F=", "F=x1", "F=1x"}, ""},
		{"lt of a number as text", `F|lt: '10'`, []string{"F=9"}, []string{"F=10"}, ""},
		{"gt with a list: any of it", `F|gt: [10, 5]`, []string{"F=6"}, []string{"F=5"}, ""},
		{"only numeric values", `F|gt: ten`, nil, nil, "needs a number"},
		{"comparisons make no text", `F|contains|gt: 1`, nil, nil, "take a number"},

		{"minute", `F|minute: 30`, []string{"F=2025-08-02T14:30:59Z"}, []string{"F=2025-08-02T14:31:00Z", "F=2025-08-02", ""}, ""},
		{"hour", `F|hour: 14`, []string{"F=2025-08-02 14:05:00.123", "F=2025-08-02T14:05:00.0000000Z"}, []string{"F=2025-08-02 04:05:00", "F=x"}, ""},
		{"hour: no conversion of time zones", `F|hour: 14`, []string{"F=2025-08-02T14:05:00+09:00"}, nil, ""},
		{"day", `F|day: 2`, []string{"F=2025-08-02T14:05:00Z", "F=2025-08-02"}, []string{"F=2025-02-08T00:00:00Z"}, ""},
		{"week", `F|week: 31`, []string{"F=2025-08-02T14:05:00Z"}, []string{"F=2025-08-04T00:00:00Z"}, ""},
		{"month", `F|month: 8`, []string{"F=2025-08-02T14:05:00Z", "F=2025/08/02 14:05"}, []string{"F=2025-02-08T00:00:00Z"}, ""},
		{"year", `F|year: 2025`, []string{"F=2025-08-02T14:05:00Z", "F=1754143500", "F=1754143500123", "F=1754143500.5"}, []string{"F=2024-08-02T14:05:00Z"}, ""},
		{"parts of times are numbers, which compare", `F|hour|gte: 20`, []string{"F=2025-08-02T21:00:00Z"}, []string{"F=2025-08-02T19:59:00Z"}, ""},
		{"comparison before the part", `F|lt|hour: 6`, []string{"F=2025-08-02T05:59:00Z"}, []string{"F=2025-08-02T06:00:00Z"}, ""},
		{"minute: between 0 and 59", `F|minute: 60`, nil, nil, "60 is none"},
		{"month: between 1 and 12", `F|month: 0`, nil, nil, "0 is none"},
		{"there is no second", `F|second: 1`, nil, nil, `"second" is not supported`},

		{"cidr: IPv4", `F|cidr: 10.0.0.0/8`, []string{"F=10.255.0.1"}, []string{"F=11.0.0.0", "F=10", "F=x"}, ""},
		{"cidr: IPv6", `F|cidr: '2001:db8::/32'`, []string{"F=2001:db8:1::1", "F=2001:DB8::"}, []string{"F=2001:db9::"}, ""},
		{"cidr: IPv4 addresses written as IPv6", `F|cidr: 192.168.0.0/16`, []string{"F=::ffff:192.168.1.1"}, []string{"F=::192.168.1.1"}, ""},
		{"cidr: networks written so too", `F|cidr: '::ffff:10.0.0.0/104'`, []string{"F=10.1.1.1"}, []string{"F=11.1.1.1"}, ""},
		{"cidr: one address", `F|cidr: 127.0.0.1`, []string{"F=127.0.0.1"}, []string{"F=127.0.0.2"}, ""},
		{"cidr: an address with its zone, as Windows writes link-local ones", `F|cidr: 'fe80::/10'`, []string{"F=fe80::1%11"}, []string{"F=fec0::1%11"}, ""},
		{"cidr with all", `F|cidr|all: [10.0.0.0/8, 10.1.0.0/16]`, []string{"F=10.1.2.3"}, []string{"F=10.2.2.3"}, ""},
		{"cidr: all of IPv6 is no IPv4", `F|cidr: '::/0'`, []string{"F=2001:db8::1"}, []string{"F=10.0.0.1", "F=::ffff:10.0.0.1"}, ""},
		{"cidr: a list", `F|cidr: [10.0.0.0/8, 'fc00::/7']`, []string{"F=fd00::1"}, []string{"F=fe80::1"}, ""},
		{"cidr: host bits are masked", `F|cidr: 10.1.2.3/8`, []string{"F=10.9.9.9"}, nil, ""},
		{"cidr goes with no text modifier", `F|cidr|contains: 10.0.0.0/8`, nil, nil, "don't go together"},

		{"fieldref: compares two fields", `F|fieldref: G`, []string{"F=x;G=X"}, []string{"F=x;G=y", "F=x", "G=x"}, ""},
		{"fieldref with neq", `F|fieldref|neq: G`, []string{"F=x;G=y"}, []string{"F=x;G=x"}, ""},
		{"fieldref with startswith", `F|fieldref|startswith: G`, []string{"F=xy;G=x"}, []string{"F=yx;G=x"}, ""},
		{"fieldref with endswith", `F|endswith|fieldref: G`, []string{"F=yx;G=x"}, []string{"F=xy;G=x"}, ""},
		{"fieldref with contains", `F|fieldref|contains: G`, []string{"F=axb;G=x"}, []string{"F=ab;G=x"}, ""},
		{"fieldref with startswith and neq", `F|fieldref|startswith|neq: G`, []string{"F=x;G=y"}, []string{"F=xy;G=x"}, ""},
		{"fieldref to a nested field", `F|fieldref: G.h`, []string{"F=x;G.h=X"}, []string{"F=x;G.i=x"}, ""},
		{"fieldref with neq of an absent field", `F|fieldref|neq: G`, []string{"F=x", "G=x", ""}, nil, ""},
		{"fieldref with cased", `F|fieldref|cased: G`, []string{"F=x;G=x"}, []string{"F=x;G=X"}, ""},
		{"fieldref with a list: any of them", `F|fieldref: [G, H]`, []string{"F=x;G=y;H=x"}, []string{"F=x;G=y;H=z"}, ""},
		{"fieldref takes a name without wildcards", `F|fieldref: 'G*'`, nil, nil, "name of a field"},

		{"expand: the values of a placeholder", `F|expand: '%servers%'`, []string{"F=srv1", "F=dc"}, []string{"F=web", "F=%servers%"}, ""},
		{"expand: with text around", `F|expand: 'x-%servers%!'`, []string{"F=x-srv9!", "F=x-dc!"}, []string{"F=dc"}, ""},
		{"expand: several placeholders are all combinations", `F|expand: '%servers%-%admins%'`, []string{"F=dc-root", "F=srv2-admin"}, []string{"F=dc-x"}, ""},
		{"expand: with contains", `F|expand|contains: '%admins%'`, []string{"F=xrooty"}, []string{"F=roo"}, ""},
		{"expand: an escaped percent sign is plain", `F|expand: '\%plain%admins%'`, []string{"F=%plainroot"}, []string{"F=%plain%admins%"}, ""},
		{"a placeholder without expand is a literal value", `F: '%servers%'`, []string{"F=%servers%"}, []string{"F=dc"}, ""},
		{"expand: with cidr", `F|expand|cidr: '%nets%'`, []string{"F=10.1.1.1"}, []string{"F=11.1.1.1"}, ""},
		{"expand: with re a value means itself", `F|re|expand: '^%dots%$'`, []string{"F=a.b"}, []string{"F=axb"}, ""},
		{"expand: beside a plain value", `F|expand: ['%servers%', 'x']`, []string{"F=dc", "F=x"}, []string{"F=y"}, ""},
		{"expand: with neq", `F|expand|neq: '%admins%'`, []string{"F=joe"}, []string{"F=root"}, ""},
		{"a tool that can't handle placeholders must reject the rule", `F|expand: '%unknown%'`, nil, nil, "placeholder %unknown%"},
		{"unknown modifiers are refused", `F|near: x`, nil, nil, `"near" is not supported`},
	} {
		t.Run(c.clause, func(t *testing.T) {
			doc := head + "detection:\n  sel:\n    " + c.item + "\n  condition: sel\n"
			known := map[string][]string{"servers": {"srv*", "dc"}, "admins": {"root", "admin"}, "nets": {"10.0.0.0/8"}, "dots": {"a.b"}}
			set, errs := Options{Placeholders: known}.Compile([]Document{{Name: "s.yml", Data: []byte(doc)}})
			if c.rejected != "" {
				if len(errs) != 1 || !strings.Contains(errs[0].Reason, c.rejected) {
					t.Errorf("errors %v, want one that says %q", errs, c.rejected)
				}
				return
			}
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			for _, text := range c.yes {
				expectMatch(t, set, specEvent(text), true)
			}
			for _, text := range c.no {
				expectMatch(t, set, specEvent(text), false)
			}
		})
	}
}

// specEvent reads name=value;name=value.
func specEvent(text string) *ocsf.Event {
	var list []string
	for _, part := range strings.Split(text, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			list = append(list, name, value)
		}
	}
	return winEvent(list...)
}

// TestSpecificationOfDetectionsAndConditions goes through its parts about search identifiers, keywords and conditions.
func TestSpecificationOfDetectionsAndConditions(t *testing.T) {
	const three = "  s_a: {A: x}\n  s_b: {B: x}\n  f_c: {C: x}\n  _d: {D: x}\n  in-mid.e: {E: x}\n"
	for _, c := range []struct {
		clause, detection string
		yes, no           []string
		rejected          string
	}{
		{"Lists: maps are linked with OR", "  s:\n    - A: x\n      B: x\n    - C: x\n  condition: s\n", []string{"A=x;B=x", "C=x"}, []string{"A=x", "B=x"}, ""},
		{"Maps: elements are joined with AND", "  s: {A: x, B: [y, z]}\n  condition: s\n", []string{"A=x;B=z"}, []string{"A=x", "B=y"}, ""},
		{"Keywords: any of them in the whole event", "  k: ['event::clear', 'event::drop']\n  condition: k\n", []string{"A=x event::drop y", "B=EVENT::CLEAR"}, []string{"A=event::", ""}, ""},
		{"Keywords: '|all' is AND", "  k:\n    '|all': [Oab, ' -Ext ']\n  condition: k\n", []string{"A=oab;B=x -ext y", "A=oab -ext y"}, []string{"A=oab"}, ""},
		{"Keywords: wildcards", "  k: ['a*z', 'b?y']\n  condition: k\n", []string{"F=xa--zx", "F=xb-yx"}, []string{"F=za", "F=by"}, ""},
		{"Keywords: one alone", "  k: needle\n  condition: k\n", []string{"F=a needle b"}, []string{"F=needl"}, ""},
		{"Keywords: numbers", "  k: [4625]\n  condition: k\n", []string{"F=x4625"}, []string{"F=462"}, ""},
		{"Keywords: regular expressions", "  k:\n    '|re': ['ab+c']\n  condition: k\n", []string{"Q=xabbcx"}, []string{"Q=ac"}, ""},
		{"Keywords: with maps in one list", "  k:\n    - foo\n    - {A: x}\n  condition: k\n", []string{"B=foo", "A=x"}, []string{"B=x"}, ""},
		{"Keywords: mixed with fields in one map", "  k:\n    A: x\n    '|all': [foo, bar]\n  condition: k\n", []string{"A=x;B=foobar"}, []string{"B=foobar", "A=x;B=foo"}, ""},
		{"Keywords: in nested fields and lists", "  k: needle\n  condition: k\n", []string{"a.b.0.c=x Needle y"}, []string{"needle.b=x"}, ""},
		{"Keywords: cased", "  k:\n    '|cased': Needle\n  condition: k\n", []string{"A=xNeedle"}, []string{"A=needle"}, ""},
		{"Keywords: not those of a filter", "  s: {A: x}\n  filter: ['foo', 'b*r']\n  condition: s and not filter\n", []string{"A=x;B=fo"}, []string{"A=x;B=a foo", "A=x;C=bxxr"}, ""},
		{"Keywords: never null", "  k: [null]\n  condition: k\n", nil, nil, "null"},

		{"Condition: and, or", three + "  condition: s_a and s_b or f_c\n", []string{"A=x;B=x", "C=x"}, []string{"A=x", "B=x"}, ""},
		{"Condition: or binds least", three + "  condition: s_a or s_b and f_c\n", []string{"A=x", "B=x;C=x"}, []string{"B=x", "C=x"}, ""},
		{"Condition: not binds before and", three + "  condition: not s_a and s_b\n", []string{"B=x"}, []string{"A=x;B=x", "C=x"}, ""},
		{"Condition: x of binds before not", three + "  condition: not 1 of s_* and f_c\n", []string{"C=x"}, []string{"A=x;C=x"}, ""},
		{"Condition: brackets", three + "  condition: (s_a or s_b) and f_c\n", []string{"A=x;C=x"}, []string{"A=x", "C=x"}, ""},
		{"Condition: 1 of and not 1 of", three + "  condition: 1 of s_* and not 1 of f_*\n", []string{"A=x", "B=x;D=x"}, []string{"A=x;C=x", "C=x"}, ""},
		{"Condition: not all of", three + "  condition: not all of s_*\n", []string{"A=x", ""}, []string{"A=x;B=x"}, ""},
		{"Condition: a name with * needs of", three + "  condition: s_a and not f_*\n", nil, nil, `names "f_*"`},
		{"Condition: as deep as 32 brackets", three + "  condition: " + strings.Repeat("(", 32) + "s_a" + strings.Repeat(")", 32) + "\n", []string{"A=x"}, []string{"B=x"}, ""},
		{"Condition: no deeper", three + "  condition: " + strings.Repeat("(", 34) + "s_a" + strings.Repeat(")", 34) + "\n", nil, nil, "nested deeper"},
		{"Condition: not of brackets", three + "  condition: not (s_a or s_b)\n", []string{"C=x"}, []string{"A=x"}, ""},
		{"Condition: not twice", three + "  condition: not not s_a\n", []string{"A=x"}, []string{"B=x"}, ""},
		{"Condition: 1 of them", three + "  condition: 1 of them\n", []string{"A=x", "E=x"}, []string{""}, ""},
		{"Condition: them leaves out names that begin with _", three + "  condition: 1 of them\n", nil, []string{"D=x"}, ""},
		{"Condition: any of them", three + "  condition: any of them\n", []string{"C=x"}, []string{"D=x"}, ""},
		{"Condition: all of them", three + "  condition: all of them\n", []string{"A=x;B=x;C=x;E=x"}, []string{"A=x;B=x;C=x;D=x"}, ""},
		{"Condition: pattern with * at its end", three + "  condition: all of s_*\n", []string{"A=x;B=x"}, []string{"A=x"}, ""},
		{"Condition: pattern with * at its beginning", three + "  condition: 1 of *_b\n", []string{"B=x"}, []string{"A=x"}, ""},
		{"Condition: pattern with * inside", three + "  condition: 1 of in*e\n", []string{"E=x"}, []string{"A=x"}, ""},
		{"Condition: pattern with several *", three + "  condition: 1 of *-m*.*\n", []string{"E=x"}, []string{"A=x"}, ""},
		{"Condition: a pattern leaves out names that begin with _", three + "  condition: 1 of *\n", []string{"A=x"}, []string{"D=x"}, ""},
		{"Condition: a name that begins with _ can be named", three + "  condition: _d\n", []string{"D=x"}, []string{"A=x"}, ""},
		{"Condition: and be meant by a pattern that does too", three + "  condition: 1 of _*\n", []string{"D=x"}, []string{"A=x"}, ""},
		{"Condition: a name without * as pattern", three + "  condition: 1 of s_a\n", []string{"A=x"}, []string{"B=x"}, ""},
		{"Condition: names with hyphen and dot", three + "  condition: in-mid.e and s_a\n", []string{"A=x;E=x"}, []string{"E=x"}, ""},
		{"Condition: a list is linked with OR", three + "  condition:\n    - s_a\n    - s_b and f_c\n", []string{"A=x", "B=x;C=x"}, []string{"B=x"}, ""},
		{"Condition: words in capitals", three + "  condition: NOT s_a AND s_b OR ALL OF s_*\n", []string{"B=x", "A=x;B=x"}, []string{"A=x"}, ""},
		{"Condition: over several lines", three + "  condition: >\n    s_a\n    and s_b\n", []string{"A=x;B=x"}, []string{"A=x"}, ""},
		{"Condition: an identifier must exist", three + "  condition: s_a and s_z\n", nil, nil, `names "s_z"`},
		{"Condition: a pattern must fit something", three + "  condition: 1 of z*\n", nil, nil, "no selection fits"},
		{"Condition: operators need both sides", three + "  condition: s_a and\n", nil, nil, "missing at its end"},
		{"Condition: no word is left over", three + "  condition: s_a s_b\n", nil, nil, "unexpected"},
		{"Condition: aggregations were removed", three + "  condition: s_a | count() > 5\n", nil, nil, "correlation rules"},
		{"Condition: of needs a quantifier", three + "  condition: some of s_*\n", nil, nil, "before \"of\""},
	} {
		t.Run(c.clause, func(t *testing.T) {
			set, errs := compileOne(t, "detection:\n"+c.detection)
			if c.rejected != "" {
				if len(errs) != 1 || !strings.Contains(errs[0].Reason, c.rejected) {
					t.Errorf("errors %v, want one that says %q", errs, c.rejected)
				}
				return
			}
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			for _, text := range c.yes {
				expectMatch(t, set, specEvent(text), true)
			}
			for _, text := range c.no {
				expectMatch(t, set, specEvent(text), false)
			}
		})
	}
}

// TestSpecificationOfTheHead: id, name and taxonomy.
func TestSpecificationOfTheHead(t *testing.T) {
	const body = "logsource: {product: windows}\ndetection:\n  sel: {A: x}\n  condition: sel\n"
	compile := func(docs ...string) (*RuleSet, []LoadError) {
		var list []Document
		for _, d := range docs {
			list = append(list, Document{Name: "h.yml", Data: []byte(d)})
		}
		return Compile(list)
	}
	set, errs := compile("title: T\nname: my_rule\n" + body)
	if len(errs) > 0 || set.Len() != 1 || set.Rules()[0].Name != "my_rule" || len(set.Rules()[0].ID) != 36 {
		t.Fatalf("id is optional, and the name is kept: %v", errs)
	}
	id := set.Rules()[0].ID
	again, _ := compile("# a comment\ntitle: T\nname: my_rule\nlevel: high\n" + body)
	other, _ := compile("title: T\nname: my_rule\n" + strings.Replace(body, "A: x", "A: y", 1))
	if again.Rules()[0].ID != id || other.Rules()[0].ID == id {
		t.Error("a made id must stay with the detection and differ with it")
	}
	if _, errs = compile("title: T\ntaxonomy: sigma\n" + body); len(errs) > 0 {
		t.Error(errs)
	}
	if _, errs = compile("title: T\ntaxonomy: ecs\n" + body); len(errs) != 1 || errs[0].Line != 2 || !strings.Contains(errs[0].Reason, "taxonomy") {
		t.Errorf("a foreign taxonomy must be transformed first: %v", errs)
	}
}
