package syslog

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// Clients says what is asked of TLS clients.
type Clients uint8

// What may be asked of TLS clients.
const (
	ClientsMayHaveCertificates  Clients = iota // those without are bound by their address
	ClientsMustHaveCertificates                // those without are refused
	ClientsHaveNoCertificates                  // none is asked for
)

// TLS is how a listener proves who it is, and how its clients do.
type TLS struct {
	Certificates []tls.Certificate
	// Get, where set, returns the certificate instead, so that a renewed one needs no restart.
	Get     func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Clients Clients
	// Authorities vouch for clients. Without them any certificate is taken, and then only a fingerprint proves
	// anything: Certificates.Bind looks at names only where Authorities vouch for them.
	Authorities *x509.CertPool
}

func (t *TLS) config() (*tls.Config, error) {
	if len(t.Certificates) == 0 && t.Get == nil {
		return nil, errors.New("no certificate: name a certificate and its key")
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: t.Certificates, GetCertificate: t.Get, ClientCAs: t.Authorities}
	verified := t.Authorities != nil
	switch t.Clients {
	case ClientsHaveNoCertificates:
		c.ClientAuth = tls.NoClientCert
	case ClientsMustHaveCertificates:
		c.ClientAuth = tls.RequireAnyClientCert
		if verified {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
	default:
		c.ClientAuth = tls.RequestClientCert
		if verified {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return c, nil
}

// certified binds a client by its certificate; nil without an error where it has none and needs none.
func (l *Listener) certified(conn *tls.Conn) (*listen.Binding, error) {
	state := conn.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return nil, nil
	}
	if l.config.ByCertificate == nil {
		return nil, nil
	}
	b, err := l.config.ByCertificate(state.PeerCertificates[0])
	if err != nil {
		return nil, fmt.Errorf("binding its certificate: %w", err)
	}
	if b == nil {
		return nil, errors.New("binding its certificate: no sensor has it")
	}
	proven := *b
	proven.Authenticated = true
	return &proven, nil
}

// Fingerprint is the SHA-256 of a certificate, 64 hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Certificates binds clients by what is declared of their certificates.
type Certificates struct {
	Fingerprints map[string]listen.Binding // SHA-256, as Fingerprint writes it
	Names        map[string]listen.Binding // subject alternative name or common name, lower case
	Verified     bool                      // an authority vouches for every certificate; names count for nothing otherwise
}

// Bind is for Config.ByCertificate. A fingerprint outweighs names; a certificate whose names are two sensors' is
// refused.
func (c Certificates) Bind(cert *x509.Certificate) (*listen.Binding, error) {
	print := Fingerprint(cert)
	if b, ok := c.Fingerprints[print]; ok {
		return &b, nil
	}
	if !c.Verified || len(c.Names) == 0 {
		return nil, fmt.Errorf("no sensor has the certificate with SHA-256 %s; declare it where it is a sender of yours", print)
	}
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 { // RFC 6125 6.4.4: the common name counts only where there is no other
		names = append(names, cert.Subject.CommonName)
	}
	var found *listen.Binding
	for _, n := range names {
		b, ok := c.Names[strings.ToLower(n)]
		if !ok {
			continue
		}
		if found != nil && *found != b {
			return nil, fmt.Errorf("the certificate names two sensors, %s and %s; give each its own", found.Sensor, b.Sensor)
		}
		found = &b
	}
	if found == nil {
		return nil, fmt.Errorf("no sensor has any name of the certificate (%s), nor its SHA-256 %s", quoted(names), print)
	}
	return found, nil
}

// quoted lists a few names that somebody else chose.
func quoted(names []string) string {
	var out []string
	for _, n := range names[:min(len(names), 5)] {
		out = append(out, fmt.Sprintf("%.64q", n))
	}
	return strings.Join(out, ", ")
}
