package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	oktaFile   = "okta/system.jsonl"
	awsFile    = "aws/cloudtrail.jsonl"
	githubFile = "github/audit.jsonl"
)

// setApps draws which clients have clouds beside Microsoft's; everybody has one of them.
func (w *world) setApps() {
	if !w.kind.apps {
		return
	}
	for _, o := range w.orgs {
		o.aws = fmt.Sprintf("%012d", newRNG(w.names, "aws", o.idx).Int64N(1e12))
		r := newRNG(w.o.Seed, "apps", o.idx)
		if o.apps == nil {
			o.apps = map[string]bool{}
		}
		if !o.client {
			continue
		}
		list := []string{"okta", "aws", "github"}
		o.apps[pick(r, list)] = true
		for _, a := range list {
			if r.chance(0.4) {
				o.apps[a] = true
			}
		}
	}
}

// okta writes one event of Okta's system log: who did what, from where, to whom.
func (s *scribe) okta(o *org, t time.Time, event string, by actor, from where, session, reason string, target *person, things ...string) {
	type party struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Mail string `json:"alternateId"`
		Name string `json:"displayName"`
	}
	result := map[string]string{"result": "SUCCESS"}
	if reason != "" {
		result = map[string]string{"result": "FAILURE", "reason": reason}
	}
	var targets []party
	if target != nil {
		targets = append(targets, party{"00u" + newRNG(s.w.names, "okta", target.mail).token(17), "User", target.mail, target.full()})
	}
	for _, x := range things {
		targets = append(targets, party{"0oa" + newRNG(s.w.names, "okta", o.idx, x).token(17), "AppInstance", x, x})
	}
	agent := agents[newRNG(1, by.mail).IntN(len(agents))]
	s.line(o, oktaFile, t, string(jsonOf(map[string]any{"uuid": s.n.guid(), "published": t.Format("2006-01-02T15:04:05.000Z"), "eventType": event, "version": "0", "severity": "INFO",
		"displayMessage": event, "actor": party{"00u" + newRNG(s.w.names, "okta", by.mail).token(17), "User", by.mail, by.name},
		"client": map[string]any{"userAgent": map[string]string{"rawUserAgent": agent, "os": "Windows 10", "browser": "CHROME"}, "ipAddress": from.ip.String(),
			"geographicalContext": map[string]string{"city": from.place.city, "country": from.place.country}, "device": "Computer"},
		"outcome": result, "target": targets, "securityContext": map[string]any{"asNumber": from.asn, "isProxy": false},
		"authenticationContext": map[string]string{"externalSessionId": session}, "request": map[string]any{"ipChain": []any{map[string]string{"ip": from.ip.String(), "version": "V4"}}}})))
}

// actor is who acts in a cloud that knows people by mail address.
type actor struct{ mail, name string }

func (p *person) actor() actor { return actor{p.mail, p.full()} }

var oktaApps = []string{"Salesforce", "Slack", "Workday", "Zendesk"}

// oktaSignIn is a session: password, mostly a second factor, and what is opened with it.
func (s *scribe) oktaSignIn(o *org, t time.Time, who actor, from where, factor bool, opened int) {
	session := "idx" + s.n.token(20)
	s.okta(o, t, "user.session.start", who, from, session, "", nil)
	if factor {
		s.okta(o, t.Add(9*time.Second), "user.authentication.auth_via_mfa", who, from, session, "", nil)
	}
	for i, x := range some(s.r, oktaApps, opened) {
		s.okta(o, t.Add(time.Duration(i+1)*s.n.span(20*time.Second, 5*time.Minute)), "user.authentication.sso", who, from, session, "", nil, x)
	}
}

// oktaResets is a help desk's work: the password and, with factor, the second factor of somebody.
func (s *scribe) oktaResets(o *org, t time.Time, by actor, from where, p *person, factor bool) {
	session := "idx" + s.n.token(20)
	s.okta(o, t, "user.account.reset_password", by, from, session, "", p)
	if factor {
		s.okta(o, t.Add(s.n.span(20*time.Second, 3*time.Minute)), "user.mfa.factor.deactivate", by, from, session, "", p)
	}
}

// oktaRegisters is what follows a reset: a new factor and a session with it.
func (s *scribe) oktaRegisters(o *org, t time.Time, p *person, from where, opened int) {
	s.okta(o, t, "user.account.update_password", p.actor(), from, "idx"+s.n.token(20), "", p)
	s.okta(o, t.Add(time.Minute), "user.mfa.factor.activate", p.actor(), from, "idx"+s.n.token(20), "", p)
	s.oktaSignIn(o, t.Add(2*time.Minute), p.actor(), from, true, opened)
}

// identity is a principal in AWS.
type identity struct {
	user    string // of IAM; or
	role    string // that was assumed
	account string // to which it belongs
	key     string
}

// iam is a user of an account with its long-lived key.
func (s *scribe) iam(o *org, user string) identity {
	return identity{user: user, account: o.aws, key: "AKIA" + upper(newRNG(s.w.names, "aws key", o.idx, user).token(16))}
}

// aws writes one CloudTrail record; params are pairs of a request's parameters.
func (s *scribe) aws(o *org, t time.Time, who identity, source, event string, from netip.Addr, agent, wrong string, extra map[string]any, params ...string) {
	id := map[string]any{"accountId": who.account, "accessKeyId": who.key}
	switch {
	case who.role != "":
		id["type"], id["principalId"] = "AssumedRole", "AROA"+upper(newRNG(s.w.names, "role", o.idx, who.role).token(17))+":"+who.role
		id["arn"] = "arn:aws:sts::" + o.aws + ":assumed-role/" + who.role + "/" + who.role
		id["sessionContext"] = map[string]any{"sessionIssuer": map[string]string{"type": "Role", "userName": who.role, "arn": "arn:aws:iam::" + o.aws + ":role/" + who.role, "accountId": o.aws},
			"attributes": map[string]string{"mfaAuthenticated": "false"}}
	case who.user == "":
		id["type"], id["principalId"] = "AWSAccount", "AIDA"+upper(newRNG(s.w.names, "principal", who.account).token(17))
		delete(id, "accessKeyId")
	default:
		id["type"], id["userName"], id["arn"] = "IAMUser", who.user, "arn:aws:iam::"+who.account+":user/"+who.user
		id["principalId"] = "AIDA" + upper(newRNG(s.w.names, "principal", who.account, who.user).token(17))
	}
	request := map[string]string{}
	for i := 0; i+1 < len(params); i += 2 {
		request[params[i]] = params[i+1]
	}
	row := map[string]any{"eventVersion": "1.10", "userIdentity": id, "eventTime": t.Format(time.RFC3339), "eventSource": source, "eventName": event, "awsRegion": "eu-central-1",
		"sourceIPAddress": from.String(), "userAgent": agent, "requestParameters": request, "requestID": s.n.guid(), "eventID": s.n.guid(), "eventType": "AwsApiCall",
		"recipientAccountId": o.aws}
	if wrong != "" {
		row["errorCode"] = wrong
	}
	for k, v := range extra {
		row[k] = v
	}
	s.line(o, awsFile, t, string(jsonOf(row)))
}

const s3, sts = "s3.amazonaws.com", "sts.amazonaws.com"

var awsAgents = []string{"aws-cli/2.22.35 md/awscrt#0.23.4 ua/2.0 os/windows#10 md/arch#amd64 lang/python#3.12.6", "Boto3/1.35.90 md/Botocore#1.35.90 ua/2.0 os/linux md/arch#x86_64 lang/python#3.11.2", "aws-sdk-go-v2/1.32.7 os/linux lang/go#1.23.4"}

// buckets are where an organisation keeps things.
func (o *org) buckets() []string {
	return []string{o.id + "-backup", o.id + "-data-lake", o.id + "-exports", o.id + "-invoices"}
}

// reads lists buckets and reads n objects of one.
func (s *scribe) reads(o *org, t time.Time, who identity, from netip.Addr, agent string, buckets []string, n int) {
	s.aws(o, t, who, s3, "ListBuckets", from, agent, "", nil)
	for i, b := range buckets {
		t = t.Add(s.n.span(2*time.Second, 40*time.Second))
		s.aws(o, t, who, s3, "ListObjects", from, agent, "", nil, "bucketName", b)
		for range n {
			t = t.Add(s.n.span(200*time.Millisecond, 20*time.Second))
			s.aws(o, t, who, s3, "GetObject", from, agent, "", map[string]any{"additionalEventData": map[string]int{"bytesTransferredOut": s.n.between(90_000, 90_000_000)}}, "bucketName", b, "key", fmt.Sprintf("2026/%02d/part-%s.parquet", 1+i%12, s.n.hex(4)))
		}
	}
}

// assumes writes a partner's role being taken by the partner's own account, and returns what acts then.
func (s *scribe) assumes(o *org, t time.Time, role string, from netip.Addr, agent, wrong string) identity {
	s.aws(o, t, identity{account: s.w.provider.aws}, sts, "AssumeRole", from, agent, wrong, map[string]any{"sharedEventID": s.n.guid()}, "roleArn", "arn:aws:iam::"+o.aws+":role/"+role, "roleSessionName", role)
	return identity{role: role, account: o.aws, key: "ASIA" + upper(s.n.token(16))}
}

// awsLogin writes a sign-in at the console.
func (s *scribe) awsLogin(o *org, t time.Time, who identity, from netip.Addr, factor, right bool) {
	used, answer := "No", "Success"
	if factor {
		used = "Yes"
	}
	if !right {
		answer = "Failure"
	}
	who.key = ""
	s.aws(o, t, who, "signin.amazonaws.com", "ConsoleLogin", from, agents[newRNG(1, who.user).IntN(len(agents))], "", map[string]any{"responseElements": map[string]string{"ConsoleLogin": answer}, "additionalEventData": map[string]string{"MFAUsed": used}, "eventType": "AwsConsoleSignIn"})
}

// github writes one entry of an organisation's audit log.
func (s *scribe) github(o *org, t time.Time, action, kind, who, repo string, from where, token string) {
	ms := t.UnixMilli()
	row := map[string]any{"@timestamp": ms, "created_at": ms, "_document_id": s.n.token(22), "action": action, "actor": who, "actor_id": 1000 + newRNG(s.w.names, "github", who).IntN(9e7), "actor_ip": from.ip.String(),
		"actor_location": map[string]string{"country_code": from.place.country}, "org": o.id, "operation_type": kind, "user_agent": "git/2.47.1"}
	if repo != "" {
		row["repo"] = o.id + "/" + repo
	}
	if token != "" {
		row["hashed_token"], row["programmatic_access_type"] = token, "Personal access token (classic)"
	}
	s.line(o, githubFile, t, string(jsonOf(row)))
}

var repos = []string{"shop", "erp-sync", "infra", "reports", "etl", "mobile", "website", "billing"}

// tokenOf is the hash of somebody's token, as the log shows it.
func (w *world) tokenOf(o *org, who string) string {
	return newRNG(w.names, "token", o.idx, who).token(43) + "="
}

// handle is somebody's name at GitHub.
func (p *person) handle() string { return strings.ReplaceAll(p.login, ".", "-") + "-dev" }
