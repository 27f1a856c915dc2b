package netconfig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of what is read from one file.
const (
	maxFile    = 128 << 20 // bytes; what is longer is refused as a whole, since half a policy says the wrong thing
	maxRules   = 200_000   // rules after chains are followed
	maxObjects = 500_000   // members of groups and sets, over the whole file
	maxDepth   = 64        // groups, chains and elements in one another
)

// source is a file that is being read.
type source struct {
	ctx    context.Context
	in     evidence.Input
	sink   evidence.Sink
	data   []byte
	broken int64
	used   int // objects read
}

// bad notes a broken record; the rest of the file is read on.
func (s *source) bad(line int64, format string, args ...any) {
	s.broken++
	if s.broken <= maxBroken {
		s.sink.Bad(line, short(fmt.Sprintf(format, args...)))
	}
}

// room reports whether another member may be kept, and says once where it may not.
func (s *source) room(line int64) bool {
	s.used++
	if s.used == maxObjects+1 {
		s.bad(line, "more than %d members of groups and sets: the rest is not read", maxObjects)
	}
	return s.used <= maxObjects
}

// openFile reads the whole file as UTF-8. Files of Windows come as UTF-16 with a byte order mark.
func openFile(ctx context.Context, in evidence.Input, sink evidence.Sink) (*source, error) {
	data, err := io.ReadAll(io.LimitReader(in.Reader, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", in.Name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading %s: it is larger than %d MiB, the most that a configuration may have; export the policy alone", in.Name, maxFile>>20)
	}
	return &source{ctx: ctx, in: in, sink: sink, data: text(data)}, nil
}

// text decodes UTF-16 with a byte order mark and takes the mark of UTF-8 away.
func text(data []byte) []byte {
	big := bytes.HasPrefix(data, []byte{0xfe, 0xff})
	if !big && !bytes.HasPrefix(data, []byte{0xff, 0xfe}) {
		return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		if big {
			units = append(units, uint16(data[i])<<8|uint16(data[i+1]))
		} else {
			units = append(units, uint16(data[i+1])<<8|uint16(data[i]))
		}
	}
	return []byte(string(utf16.Decode(units)))
}

// lines calls visit with every line, without its end, numbered from 1.
func (s *source) lines(visit func(n int64, line string) error) error {
	rest := s.data
	for n := int64(1); len(rest) > 0; n++ {
		if n%4096 == 0 {
			if err := s.ctx.Err(); err != nil {
				return err
			}
		}
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if err := visit(n, strings.TrimSuffix(string(line), "\r")); err != nil {
			return err
		}
	}
	return nil
}

// parser makes a device of a file.
type parser func(s *source) (*device, error)

// Formats lists the formats of configurations. The model says what is declared; nil declares nothing.
func Formats(m *tenant.Model) []evidence.Format {
	list := []struct {
		name, about string
		recognise   func(name string, head []byte) bool
		parse       parser
	}{
		{"nftables-json", "rules of nftables: nft -j list ruleset", isNFTJSON, parseNFTJSON},
		{"nftables", "rules of nftables: nft list ruleset", isNFTText, parseNFTText},
		{"iptables-save", "rules of iptables: iptables-save, ip6tables-save, with ipset save before them where sets are used", isIptables, parseIptables},
		{"pfsense", "pfSense or OPNsense: config.xml of a backup", isPfSense, parsePfSense},
		{"fortigate", "FortiGate: a backup of the configuration as text (show full-configuration)", isFortiGate, parseFortiGate},
		{"cisco-asa", "Cisco ASA: show running-config", isASA, parseASA},
		{"pan-os", "PAN-OS: running-config.xml, of a firewall or a Panorama", isPanOS, parsePanOS},
		{"aws-security-groups", "AWS: ec2 describe-security-groups, describe-instances, describe-network-interfaces, alone or in one object", isAWS, parseAWS},
		{"azure-nsg", "Azure: az network nsg list, or the resource as ARM gives it", isAzure, parseAzure},
	}
	var out []evidence.Format
	for _, f := range list {
		out = append(out, evidence.Format{
			Name: f.name, About: f.about,
			Recognise: func(name string, head []byte) bool { return f.recognise(name, text(head)) },
			Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
				s, err := openFile(ctx, in, sink)
				if err != nil {
					return err
				}
				d, err := f.parse(s)
				if err != nil {
					return err
				}
				return d.items(s, m, f.name)
			},
		})
	}
	return append(out, cloudFormats(m)...)
}
