package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	consoleFile = "console/audit.jsonl"
	webFile     = "web/iis.log"
)

// order is one line of the audit of the platform's console. No maker's export could be had: this is a plain shape with
// the words that all of them have.
type order struct {
	user, event, object string
	from                netip.Addr
	client              *org // whose hosts it is about; nil: nobody's
	hosts               int
	factor, failed      bool
}

func (s *scribe) console(t time.Time, a order) {
	customer, result := "", "success"
	if a.client != nil {
		customer = a.client.name
	}
	if a.failed {
		result = "failure"
	}
	s.line(s.w.provider, consoleFile, t, string(jsonOf(struct {
		Time     string `json:"time"`
		Product  string `json:"product"`
		User     string `json:"user"`
		IP       string `json:"ip"`
		Event    string `json:"event"`
		Object   string `json:"object,omitempty"`
		Customer string `json:"customer,omitempty"`
		Hosts    int    `json:"hosts,omitempty"`
		Factor   bool   `json:"second_factor"`
		Result   string `json:"result"`
	}{t.Format("2006-01-02T15:04:05.000Z"), s.w.platform.tool, a.user, a.from.String(), a.event, a.object, customer, a.hosts, a.factor, result})))
}

const webHeader = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n"

// asked writes a request to the web server before the platform's own server.
func (s *scribe) asked(t time.Time, from netip.Addr, method, path, agent string, status int) {
	s.line(s.w.provider, webFile, t, fmt.Sprintf("%s %s %s %s - %d - %s %s - %d 0 0 %d", t.Format("2006-01-02 15:04:05"), s.w.managementServer().ip, method, path, s.w.platform.port, from,
		strings.ReplaceAll(agent, " ", "+"), status, s.n.between(3, 900)))
}
