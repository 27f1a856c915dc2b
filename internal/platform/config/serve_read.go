package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// serve reads the serve section; nil where the file has none.
func (d *declared) serve(r *reader, root *object) *Serve {
	if !root.has("serve") {
		return nil
	}
	o, ok := r.object(root.fields["serve"], "serve", "listen", "tls", "syslog", "netflow", "tail", "drop", "reorder", "limits", "notify", "alert")
	if !ok {
		return nil
	}
	s := DefaultServe()
	s.TLS = o.tls()
	s.Listen = o.listen(s.Listen, s.TLS != nil)
	for _, l := range r.objects(o, "syslog", "udp", "tcp", "tls", "bindings", "max_message") {
		s.Syslog = append(s.Syslog, d.syslog(l, s.TLS))
	}
	for _, l := range r.objects(o, "netflow", "udp", "bindings") {
		s.NetFlow = append(s.NetFlow, d.netflow(l))
	}
	for _, t := range r.objects(o, "tail", "paths", "sensor", "tenant", "layer") {
		s.Tail = append(s.Tail, d.tail(t))
	}
	if sub, ok := o.section("drop", "folder"); ok {
		s.Drop = sub.need("folder", "name the folder whose files are taken in").file()
	}
	if sub, ok := o.section("reorder", "settle", "window"); ok {
		sub.duration("settle", &s.Reorder.Settle, 0, time.Minute)
		sub.duration("window", &s.Reorder.Window, time.Second, 24*time.Hour)
	}
	if sub, ok := o.section("limits", "bus_bytes", "min_free", "memory", "request_bytes", "tenant_events_per_second", "tenant_bytes_per_second", "connections"); ok {
		sub.limits(&s.Limits)
	}
	if sub, ok := o.section("notify", "webhooks", "mail", "repeat_after", "per_hour"); ok {
		d.notify(sub, &s.Notify)
	}
	if sub, ok := o.section("alert", "for"); ok {
		sub.duration("for", &s.Alert.For, time.Hour, 90*24*time.Hour)
	}
	d.checkListeners(o, s)
	return s
}

// section reads the mapping at key; ok is false where there is none, or it is broken and reported.
func (o *object) section(key string, keys ...string) (*object, bool) {
	if !o.has(key) {
		return nil, false
	}
	return o.r.object(o.fields[key], o.field(key), keys...)
}

func (o *object) tls() *TLS {
	sub, ok := o.section("tls", "cert", "key", "client_ca")
	if !ok {
		return nil
	}
	return &TLS{
		Cert:     sub.need("cert", "name the file of the certificate (PEM)").file(),
		Key:      sub.need("key", "name the file of the certificate's key (PEM)").file(),
		ClientCA: sub.text("client_ca").file(),
	}
}

// listen reads where the page listens. What leaves this machine is encrypted, or it isn't offered.
func (o *object) listen(otherwise string, tls bool) string {
	it := o.text("listen")
	if it.text == "" {
		return otherwise
	}
	host, ok := it.hostPort()
	if ok && !tls && !loopback(host) {
		it.fail(fmt.Sprintf("%s is reached from other machines, and tls is not set", printable(it.text)), "set tls: {cert, key}, or listen on 127.0.0.1")
	}
	return it.text
}

// hostPort checks a host:port to listen on, and returns the host; an empty host is every address.
func (it item) hostPort() (string, bool) {
	if it.bad {
		return "", false
	}
	at := strings.LastIndexByte(it.text, ':')
	host, bracketed := "", false
	if at >= 0 {
		host = it.text[:at]
		if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
			host, bracketed = host[1:len(host)-1], true
		}
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case at < 0 || !isPort(it.text[at+1:]):
		it.fail(fmt.Sprintf("%q is no host:port", printable(it.text)), "write 127.0.0.1:8460, with a port of 1 to 65535")
	case bracketed != (err == nil && addr.Is6()):
		it.fail(fmt.Sprintf("%q is no host:port", printable(it.text)), "write an IPv6 address in brackets, such as [::1]:8460")
	case host != "" && err != nil && !isHostName(host):
		it.fail(fmt.Sprintf("%q is neither a host name nor an address", printable(host)), "write 127.0.0.1:8460")
	default:
		return host, true
	}
	return "", false
}

func isPort(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' || i == 5 {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n > 0 && n < 1<<16
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func (d *declared) syslog(o *object, tls *TLS) Syslog {
	s := Syslog{MaxMessage: defaultMaxMessage}
	given := 0
	for _, transport := range []string{TransportUDP, TransportTCP, TransportTLS} {
		if o.has(transport) {
			given++
			it := o.text(transport)
			it.hostPort()
			s.Transport, s.Address = transport, it.text
		}
	}
	if given != 1 {
		o.r.fail(o.line, o.path, fmt.Sprintf("%d transports are given where one is needed", given), "write one of udp, tcp, tls: host:port; a second listener is a second entry")
	}
	if s.Transport == TransportTLS && tls == nil {
		o.fail("tls", "needs a certificate, and serve.tls is not set", "set serve.tls: {cert, key}")
	}
	o.size("max_message", &s.MaxMessage, 480, 1<<20)
	s.Bindings = d.bindings(o, s.Transport, tls)
	return s
}

// netflow reads a collector of flow exports; UDP is all that exporters speak.
func (d *declared) netflow(o *object) NetFlow {
	n := NetFlow{}
	it := o.need("udp", "write the host:port to listen on, such as 192.0.2.10:2055")
	if it.text != "" {
		it.hostPort()
	}
	n.Address = it.text
	n.Bindings = d.bindings(o, TransportUDP, nil)
	return n
}

// bindings reads whose telemetry the senders of a listener bring.
func (d *declared) bindings(o *object, transport string, tls *TLS) (out []Binding) {
	list := o.r.objects(o, "bindings", "source", "certificate", "sensor", "tenant", "layer")
	if len(list) == 0 && len(o.list("bindings")) == 0 {
		o.fail("bindings", "none is given, so that every sender is refused", "bind a source prefix or a certificate to a sensor")
	}
	for _, b := range list {
		out = append(out, d.binding(b, transport, tls))
	}
	return out
}

func (d *declared) binding(o *object, transport string, tls *TLS) Binding {
	b := Binding{}
	switch {
	case o.has("source") == o.has("certificate"):
		o.r.fail(o.line, o.path, "needs either source or certificate", "write the senders' prefix, or what their certificate says")
	case o.has("source"):
		if p, ok := o.text("source").prefix(); ok {
			b.Source = p.String()
		}
	default:
		it := o.text("certificate")
		b.Certificate = certificate(it)
		switch {
		case transport != TransportTLS && transport != "":
			it.fail("no certificate is shown over "+transport, "bind by source, or listen by tls")
		case tls != nil && tls.ClientCA == "":
			it.fail("serve.tls has no client_ca, so that certificates are not checked", "set serve.tls.client_ca")
		}
	}
	b.Sensor, b.Tenant, b.Layer = d.whose(o)
	return b
}

// certificate reads a SHA-256 fingerprint with or without colons, or a name.
func certificate(it item) string {
	if it.bad {
		return ""
	}
	digits := strings.ToLower(strings.ReplaceAll(it.text, ":", ""))
	if len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == "" {
		return digits
	}
	name := strings.ToLower(it.text)
	if !isHostName(name) {
		it.fail(fmt.Sprintf("%q is neither a SHA-256 fingerprint nor a name", printable(it.text)), "write 64 hex digits (openssl x509 -fingerprint -sha256), or a DNS name of the certificate")
		return ""
	}
	return name
}

// whose reads sensor, tenant and layer of what is bound. A declared sensor brings its own tenant, map and layer,
// and an entry may not contradict it; another name is a new sensor, and then tenant is needed.
func (d *declared) whose(o *object) (string, tenant.ID, tenant.Layer) {
	name := o.need("sensor", "name the sensor as which it is counted").text
	id, layer := tenant.ID(o.text("tenant").text), o.layer()
	if id != "" && !slices.ContainsFunc(d.model.Tenants, func(t tenant.Tenant) bool { return t.ID == id }) {
		o.fail("tenant", fmt.Sprintf("%q is not declared under tenants", printable(string(id))), "declare it under tenants or correct the name")
		return name, id, layer
	}
	i := slices.IndexFunc(d.sensors, func(s Sensor) bool { return s.Name == name && name != "" })
	if i < 0 {
		if id == "" && name != "" && !o.has("tenant") {
			o.fail("tenant", fmt.Sprintf("missing, and no sensor is named %q", printable(name)), "name the tenant, or a sensor declared under sensors")
		}
		return name, id, layer
	}
	s := &d.sensors[i]
	switch {
	case id != "" && s.By != "":
		o.fail("tenant", fmt.Sprintf("the sensor %q (line %d) tells tenants apart by a field", printable(name), s.Line), "take tenant out, or choose another sensor name")
	case id != "" && id != s.Tenant:
		o.fail("tenant", fmt.Sprintf("the sensor %q (line %d) is %q's", printable(name), s.Line, s.Tenant), "correct one of them, or choose another sensor name")
	}
	if layer == "" {
		layer = s.Layer
	}
	return name, s.Tenant, layer
}

// layer reads the layer that a sensor or a binding names.
func (o *object) layer() tenant.Layer {
	l := tenant.Layer(o.text("layer").text)
	if l != "" && !slices.Contains(tenant.Layers, l) {
		o.fail("layer", fmt.Sprintf("%q is no layer", printable(string(l))), "write one of "+join(tenant.Layers, ", ")+", or leave it out")
	}
	return l
}

func (d *declared) tail(o *object) Tail {
	t := Tail{}
	for _, it := range o.texts("paths") {
		if _, err := filepath.Match(it.text, "x"); err != nil || strings.Contains(it.text, "**") {
			it.fail(fmt.Sprintf("%q is no pattern of files", printable(it.text)), "write /var/log/fw/*.log: * and ? stay within a folder, [ ] is a class")
			continue
		}
		t.Paths = append(t.Paths, it.file())
	}
	if len(o.list("paths")) == 0 {
		o.fail("paths", "names no file", "write patterns such as [/var/log/fw/*.log]")
	}
	t.Sensor, t.Tenant, t.Layer = d.whose(o)
	return t
}

func (o *object) limits(l *Limits) {
	o.size("bus_bytes", &l.BusBytes, 64<<20, 1<<50)
	o.size("min_free", &l.MinFree, 0, 1<<50)
	o.size("memory", &l.Memory, 128<<20, 1<<44)
	o.size("request_bytes", &l.RequestBytes, 64<<10, 1<<30)
	o.count("tenant_events_per_second", &l.TenantEventsPerSecond, 0, 1e9)
	o.size("tenant_bytes_per_second", &l.TenantBytesPerSecond, 0, 1<<40)
	connections := int64(l.Connections)
	o.count("connections", &connections, 1, 1e6)
	l.Connections = int(connections)
}

func (d *declared) notify(o *object, n *Notify) {
	o.duration("repeat_after", &n.RepeatAfter, 0, 30*24*time.Hour)
	perHour := int64(n.PerHour)
	o.count("per_hour", &perHour, 1, 10_000)
	n.PerHour = int(perHour)
	names := map[string]int{}
	for _, w := range o.r.objects(o, "webhooks", "name", "url", "secret_file", "tenants", "min_severity", "allow_private") {
		n.Webhooks = append(n.Webhooks, d.webhook(w))
		w.unlike(names)
	}
	for _, m := range o.r.objects(o, "mail", "name", "host", "port", "tls", "username", "password_file", "from", "to", "tenants", "min_severity", "allow_private") {
		n.Mail = append(n.Mail, d.mail(m))
		m.unlike(names)
	}
}

// unlike reports a channel whose name another one has: what was sent is remembered under it.
func (o *object) unlike(lines map[string]int) {
	name := strings.ToLower(o.text("name").text)
	if line, ok := lines[name]; ok && name != "" {
		o.fail("name", fmt.Sprintf("%q is already the channel on line %d", printable(name), line), "choose another name")
		return
	}
	lines[name] = o.line
}

func (d *declared) webhook(o *object) Webhook {
	w := Webhook{
		Audience:     d.audience(o),
		URL:          o.need("url", "write where the messages go, such as https://soc.example/hooks/breakwater").text,
		SecretFile:   o.need("secret_file", "name the file with the signing secret").file(),
		AllowPrivate: o.yes("allow_private"),
		MinSeverity:  o.severity("min_severity"),
	}
	w.Name, _ = o.need("name", "give the channel a short name").id()
	if w.URL == "" {
		return w
	}
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		o.fail("url", fmt.Sprintf("%q is no web address", printable(w.URL)), "write https://host/path")
	case u.User != nil:
		o.fail("url", "holds a user or password", "take it out: messages are signed with secret_file")
	case u.Scheme == "http" && !w.AllowPrivate:
		o.fail("url", "is not encrypted", "write https://, or set allow_private where the receiver is in your own network")
	}
	return w
}

func (d *declared) mail(o *object) Mail {
	m := Mail{
		Audience:     d.audience(o),
		TLS:          o.text("tls").text,
		Username:     o.text("username").text,
		PasswordFile: o.text("password_file").file(),
		AllowPrivate: o.yes("allow_private"),
		MinSeverity:  o.severity("min_severity"),
	}
	m.Name, _ = o.need("name", "give the channel a short name").id()
	if it := o.need("host", "name the mail server"); !it.bad {
		m.Host, _ = it.host()
	}
	if m.TLS == "" {
		m.TLS = MailStartTLS
	}
	port := int64(587)
	switch m.TLS {
	case MailTLS:
		port = 465
	case MailPlain:
		port = 25
		if m.Host != "" && !loopback(m.Host) {
			o.fail("tls", "mail would leave this machine unencrypted", "write starttls or tls; none is for a server on localhost")
		}
	case MailStartTLS:
	default:
		if !o.text("tls").bad {
			o.fail("tls", fmt.Sprintf("%q is no way to speak to a mail server", printable(m.TLS)), "write starttls, tls or none")
		}
	}
	o.count("port", &port, 1, 1<<16-1)
	m.Port = int(port)
	if (m.Username == "") != (m.PasswordFile == "") {
		o.r.fail(o.line, o.path, "username and password_file go together", "give both, or neither")
	}
	m.From = o.need("from", "write the sender's address").address()
	for _, it := range o.texts("to") {
		m.To = append(m.To, it.address())
	}
	if len(o.list("to")) == 0 {
		o.fail("to", "names no receiver", "write a list of addresses")
	}
	return m
}

// address reads a bare mail address.
func (it item) address() string {
	if it.bad {
		return ""
	}
	a, err := mail.ParseAddress(it.text)
	if err != nil || a.Address != it.text || !isASCII(it.text) || strings.ContainsAny(it.text, "<>\" ") {
		it.fail(fmt.Sprintf("%q is no mail address", printable(it.text)), "write name@example.com, without a display name")
		return ""
	}
	return a.Address
}

// audience reads tenants: a list, or the word all. Nothing is told of a tenant that isn't named.
func (d *declared) audience(o *object) Audience {
	if n := o.fields["tenants"]; n != nil && n.Kind == yaml.ScalarNode && n.Value == "all" {
		return Audience{All: true}
	}
	a := Audience{}
	if len(o.list("tenants")) == 0 && !(o.has("tenants") && o.fields["tenants"].Kind != yaml.SequenceNode) {
		o.fail("tenants", "names no tenant, so that nothing is ever told", "write a list of tenants, or all")
	}
	for _, it := range o.texts("tenants") {
		id := tenant.ID(it.text)
		if !slices.ContainsFunc(d.model.Tenants, func(t tenant.Tenant) bool { return t.ID == id }) {
			it.fail(fmt.Sprintf("%q is not declared under tenants", printable(it.text)), "declare it under tenants or correct the name")
			continue
		}
		a.Tenants = append(a.Tenants, id)
	}
	return a
}

func (o *object) severity(key string) ocsf.Severity {
	it := o.text(key)
	if it.text == "" {
		return ocsf.SeverityUnknown
	}
	s, err := ocsf.ParseSeverity(it.text)
	if err != nil || s == ocsf.SeverityUnknown {
		it.fail(fmt.Sprintf("%q is no severity", printable(it.text)), "write informational, low, medium, high or critical")
	}
	return s
}

// checkListeners reports two listeners on one address.
func (d *declared) checkListeners(o *object, s *Serve) {
	taken := map[string]bool{"tcp " + s.Listen: true}
	take := func(list string, i int, key, network, address string) {
		if taken[network+" "+address] && address != "" {
			line := o.line
			if n := o.list(list); i < len(n) {
				line = n[i].Line
			}
			o.r.fail(line, fmt.Sprintf("serve.%s[%d].%s", list, i, key), fmt.Sprintf("%s is listened on already", printable(address)), "choose another port")
		}
		taken[network+" "+address] = true
	}
	for i, l := range s.Syslog {
		network := TransportTCP
		if l.Transport == TransportUDP {
			network = TransportUDP
		}
		take("syslog", i, l.Transport, network, l.Address)
	}
	for i, l := range s.NetFlow {
		take("netflow", i, TransportUDP, TransportUDP, l.Address)
	}
}
