package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxMailboxUsers bounds the accounts of one entry.
const maxMailboxUsers = 100_000

// mailboxes reads the mailboxes of the mail section.
func (d *declared) mailboxes(o *object) []Mailbox {
	var out []Mailbox
	names := map[string]bool{}
	for _, b := range o.r.objects(o, "mailboxes", "name", "tenant", "kind", "host", "port", "tls", "ca", "pin", "user", "users", "master", "password_file",
		"token_file", "oauth", "quarantine", "handled", "folders", "thanks") {
		box := d.mailbox(b)
		if box.Name != "" && names[box.Name] {
			b.fail("name", fmt.Sprintf("%q names an earlier mailbox already", printable(box.Name)), "choose another name")
		}
		names[box.Name] = true
		out = append(out, box)
	}
	return out
}

func (d *declared) mailbox(o *object) Mailbox {
	b := Mailbox{CA: o.text("ca").file(), Password: o.text("password_file").file(), Token: o.text("token_file").file(), Quarantine: defaultQuarantine, Handled: defaultHandled}
	b.Name, _ = o.need("name", "give the mailbox a short name").id()
	b.Tenant = d.mailTenant(o)
	switch it := o.need("kind", "write sweep, reports or journal"); MailboxKind(it.text) {
	case MailboxSweep, MailboxReports, MailboxJournal:
		b.Kind = MailboxKind(it.text)
	default:
		if !it.bad && it.text != "" {
			it.fail(fmt.Sprintf("%q is no kind of mailbox", printable(it.text)), "write sweep (delivered mail), reports (mail that users report) or journal (journal reports)")
		}
	}
	if it := o.need("host", "name the IMAP server"); !it.bad && it.text != "" {
		b.Host, _ = it.host()
	}
	o.mailboxTLS(&b)
	o.mailboxUsers(&b)
	for _, f := range []struct {
		key string
		to  *string
	}{{"quarantine", &b.Quarantine}, {"handled", &b.Handled}} {
		if it := o.text(f.key); it.text != "" {
			*f.to = it.folder()
		}
	}
	for _, it := range o.texts("folders") {
		b.Folders = append(b.Folders, it.folder())
	}
	if slices.Contains(b.Folders, b.Quarantine) {
		o.fail("folders", "holds the quarantine itself", "take it out")
	}
	if sub, ok := o.section("thanks", "from", "host", "port", "tls", "username", "password_file"); ok {
		if b.Kind != MailboxReports {
			o.fail("thanks", "belongs to a mailbox of kind reports", "take it out, or write kind: reports")
		}
		b.Thanks = sub.thanks()
	}
	return b
}

func (d *declared) mailTenant(o *object) tenant.ID {
	id := tenant.ID(o.need("tenant", "name the tenant whose mail it is").text)
	if id != "" && !slices.ContainsFunc(d.model.Tenants, func(t tenant.Tenant) bool { return t.ID == id }) {
		o.fail("tenant", fmt.Sprintf("%q is not declared under tenants", printable(string(id))), "declare it under tenants or correct the name")
	}
	return id
}

// mailboxTLS reads how the server is spoken to; its passwords leave this machine encrypted only.
func (o *object) mailboxTLS(b *Mailbox) {
	b.TLS = o.transport(MailTLS, b.Host)
	port := int64(993)
	if b.TLS != MailTLS {
		port = 143
	}
	o.count("port", &port, 1, 1<<16-1)
	b.Port = int(port)
	if it := o.text("pin"); it.text != "" {
		b.Pin = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(it.text, "sha256:"), ":", ""))
		if len(b.Pin) != 64 || strings.Trim(b.Pin, "0123456789abcdef") != "" {
			it.fail("is no SHA-256 of a certificate", "write the 64 digits that `openssl x509 -noout -fingerprint -sha256` prints")
		}
	}
	if b.Pin != "" && b.CA != "" {
		o.fail("pin", "and ca are both given", "take one of them out: a pin stands for itself")
	}
	if b.TLS == MailPlain && (b.Pin != "" || b.CA != "") {
		o.fail("tls", "none, and yet a certificate is named", "write tls or starttls")
	}
}

// transport reads one of tls, starttls and none; none is for this machine alone.
func (o *object) transport(otherwise, host string) string {
	it := o.text("tls")
	switch it.text {
	case "":
		return otherwise
	case MailTLS, MailStartTLS:
	case MailPlain:
		if host != "" && !loopback(host) {
			it.fail("the password and the mail would leave this machine unencrypted", "write tls or starttls; none is for a server on localhost")
		}
	default:
		it.fail(fmt.Sprintf("%q is no way to speak to a mail server", printable(it.text)), "write tls, starttls or none")
	}
	return it.text
}

func (o *object) mailboxUsers(b *Mailbox) {
	if o.has("user") == o.has("users") {
		o.r.fail(o.line, o.path, "needs either user or users", "write user: name, or users: [names] of one server")
	}
	list := o.texts("users")
	if o.has("user") {
		list = append(list, o.text("user"))
	}
	if len(list) > maxMailboxUsers {
		o.fail("users", fmt.Sprintf("are more than %d", maxMailboxUsers), "make several mailboxes of them")
		list = list[:maxMailboxUsers]
	}
	seen := map[string]bool{}
	for _, it := range list {
		if u := it.signIn(); u != "" {
			if seen[u] {
				it.fail("is named twice", "take one out")
			}
			seen[u] = true
			b.Users = append(b.Users, u)
		}
	}
	if len(b.Users) > 1 && b.Kind != MailboxSweep && b.Kind != "" {
		o.fail("users", "are several, and reports and journals come to one mailbox", "write user, and a mailbox for each")
	}
	b.Master = o.text("master").signIn()
	b.OAuth = o.text("oauth").text
	switch {
	case (b.Password == "") == (b.Token == ""):
		o.r.fail(o.line, o.path, "needs either password_file or token_file", "name the file that holds the password, or the bearer token")
	case b.Token != "" && b.OAuth == "":
		b.OAuth = OAuthXOAuth2
	case b.Token != "" && b.OAuth != OAuthXOAuth2 && b.OAuth != OAuthBearer:
		o.fail("oauth", fmt.Sprintf("%q is no way to sign in with a token", printable(b.OAuth)), "write xoauth2 or oauthbearer")
	case b.Token == "" && b.OAuth != "":
		o.fail("oauth", "needs token_file", "name the file that holds the bearer token")
	case b.Token != "" && b.Master != "":
		o.fail("master", "signs in with a password", "take it out, or write password_file")
	}
	if len(b.Users) > 1 && b.Master == "" && b.Token == "" {
		o.warn("users", "all sign in with one password", "name a master user, or make several mailboxes")
	}
}

// signIn reads a name to sign in with.
func (it item) signIn() string {
	if strings.ContainsAny(it.text, "\r\n\x00\"\\") || len(it.text) > 320 {
		it.fail(fmt.Sprintf("%q is no name to sign in with", printable(it.text)), "write the account's name, such as ana@acme.example")
		return ""
	}
	return it.text
}

// folder reads the name of an IMAP folder.
func (it item) folder() string {
	if it.text == "" || len(it.text) > 200 || strings.ContainsAny(it.text, "\r\n\x00*%") || strings.EqualFold(it.text, "inbox") && strings.HasSuffix(it.path, "quarantine") {
		it.fail(fmt.Sprintf("%q is no name of a folder", printable(it.text)), "write a name such as "+defaultQuarantine)
		return ""
	}
	return it.text
}

func (o *object) thanks() *MailThanks {
	t := &MailThanks{From: o.need("from", "write the sender's address").address(), Username: o.text("username").text, Password: o.text("password_file").file()}
	if it := o.need("host", "name the mail server"); !it.bad && it.text != "" {
		t.Host, _ = it.host()
	}
	t.TLS = o.transport(MailStartTLS, t.Host)
	port := map[string]int64{MailTLS: 465, MailStartTLS: 587, MailPlain: 25}[t.TLS]
	o.count("port", &port, 1, 1<<16-1)
	t.Port = int(port)
	if (t.Username == "") != (t.Password == "") {
		o.r.fail(o.line, o.path, "username and password_file go together", "give both, or neither")
	}
	if t.Username != "" && t.TLS == MailPlain {
		o.fail("tls", "none, and a password would be sent", "write tls or starttls, or take username out")
	}
	return t
}

// mailJournal reads the receiver of journal reports; nil where the section has none.
func (d *declared) mailJournal(o *object) *MailJournal {
	sub, ok := o.section("journal", "listen", "tls", "bindings", "max_message")
	if !ok {
		return nil
	}
	j := &MailJournal{TLS: sub.tls(), MaxMessage: 64 << 20}
	it := sub.need("listen", "write the host:port to listen on, such as 192.0.2.10:25")
	if it.text != "" {
		host, good := it.hostPort()
		if good && j.TLS == nil && !loopback(host) {
			it.warn(fmt.Sprintf("%s is reached from other machines, and without tls the journal comes unencrypted", printable(it.text)), "set tls: {cert, key}, so that STARTTLS is offered")
		}
	}
	j.Listen = it.text
	sub.size("max_message", &j.MaxMessage, 64<<10, 150<<20)
	list := o.r.objects(sub, "bindings", "source", "tenant")
	if len(list) == 0 {
		sub.fail("bindings", "none is given, so that every sender is refused", "bind a source prefix to a tenant")
	}
	for _, b := range list {
		p, _ := b.need("source", "write the senders' prefix, such as 192.0.2.0/24").prefix()
		j.Bindings = append(j.Bindings, JournalBinding{p, d.mailTenant(b)})
	}
	for i, b := range j.Bindings {
		for _, earlier := range j.Bindings[:i] {
			if earlier.Source == b.Source && earlier.Tenant != b.Tenant {
				list[i].fail("source", fmt.Sprintf("%s is bound to %s already", b.Source, printable(string(earlier.Tenant))), "one sender brings one tenant's mail")
			}
		}
	}
	return j
}
