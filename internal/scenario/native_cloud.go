package scenario

import (
	"net/netip"
	"strings"
	"time"
)

const (
	signInFile   = "entra/signins.jsonl"
	auditFile    = "entra/directory-audit.jsonl"
	m365File     = "m365/unified-audit.jsonl"
	activityFile = "azure/activity.jsonl"
)

// app is a cloud application that people or programs sign in to.
type app struct{ id, name string }

var (
	appExchange   = app{"00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"}
	appTeams      = app{"1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams"}
	appSharePoint = app{"00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online"}
	appPortal     = app{"c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "Azure Portal"}
	appPowerShell = app{"fb78d390-0c51-40cd-8e17-fdbfab77341b", "Microsoft Exchange REST API Based Powershell"}
	userApps      = []app{appExchange, appTeams, appSharePoint}
	adminApps     = []app{appPortal, appPowerShell}
	agents        = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15"}
	failures = map[int]string{0: "Other.", 50126: "Error validating credentials due to invalid username or password.",
		50053: "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
		50076: "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication.",
		53003: "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."}
)

// where is a network place from which somebody reaches the cloud.
type where struct {
	ip    netip.Addr
	asn   int
	place place
}

func (o *org) office() where { return where{o.egress, o.asn, o.place} }

// signIn is one sign-in of a person.
type signIn struct {
	t           time.Time
	id          string // request id, drawn when empty
	who         *person
	home        *org // directory that holds the account
	app         app
	from        where
	err         int
	interactive bool
	mfa         bool
}

type status struct {
	ErrorCode         int     `json:"errorCode"`
	FailureReason     string  `json:"failureReason"`
	AdditionalDetails *string `json:"additionalDetails"`
}

type location struct {
	City    string `json:"city"`
	State   string `json:"state"`
	Country string `json:"countryOrRegion"`
}

type device struct {
	System    string `json:"operatingSystem"`
	Browser   string `json:"browser"`
	Compliant bool   `json:"isCompliant"`
}

type signInRow struct {
	ID            string   `json:"id"`
	Created       string   `json:"createdDateTime"`
	Correlation   string   `json:"correlationId"`
	AppID         string   `json:"appId"`
	App           string   `json:"appDisplayName"`
	IP            string   `json:"ipAddress"`
	ASN           int      `json:"autonomousSystemNumber"`
	Client        string   `json:"clientAppUsed"`
	Conditional   string   `json:"conditionalAccessStatus"`
	Interactive   bool     `json:"isInteractive"`
	Types         []string `json:"signInEventTypes"`
	Resource      string   `json:"resourceDisplayName"`
	ResourceID    string   `json:"resourceId"`
	ResourceHome  string   `json:"resourceTenantId"`
	Home          string   `json:"homeTenantId"`
	Cross         string   `json:"crossTenantAccessType"`
	Status        status   `json:"status"`
	Location      location `json:"location"`
	Token         string   `json:"uniqueTokenIdentifier"`
	Principal     string   `json:"servicePrincipalId,omitempty"`
	PrincipalName string   `json:"servicePrincipalName,omitempty"`
	KeyID         string   `json:"servicePrincipalCredentialKeyId,omitempty"`
	Owner         string   `json:"appOwnerTenantId,omitempty"`
	UPN           *string  `json:"userPrincipalName"`
	UserID        *string  `json:"userId"`
	Agent         string   `json:"userAgent,omitempty"`
	Requirement   string   `json:"authenticationRequirement,omitempty"`
	Device        *device  `json:"deviceDetail,omitempty"`
}

// signIn writes a sign-in into the log of the directory that was entered, and of the account's own directory where
// that is another one of ours.
func (s *scribe) signIn(o *org, v signIn) {
	if v.home == nil {
		v.home = o
	}
	if v.id == "" {
		v.id = s.n.guid()
	}
	both := newRNG(s.w.names, "request", v.id) // both directories log the same request
	row := signInRow{ID: v.id, Created: v.t.Format(time.RFC3339), Correlation: both.guid(), AppID: v.app.id, App: v.app.name, IP: v.from.ip.String(), ASN: v.from.asn,
		Client: "Browser", Conditional: "success", Interactive: v.interactive, Types: []string{"nonInteractiveUser"}, Resource: "Office 365 Exchange Online",
		ResourceID: appExchange.id, ResourceHome: o.entra, Home: v.home.entra, Cross: "none", Status: status{v.err, failures[v.err], nil},
		Location: location{v.from.place.city, "", v.from.place.country}, UPN: &v.who.mail, UserID: &v.who.oid, Agent: agents[newRNG(1, v.who.mail).IntN(len(agents))],
		Requirement: "singleFactorAuthentication", Device: &device{"Windows10", "Edge 139.0.0", v.from.ip == v.home.egress}}
	if v.interactive {
		row.Types = []string{"interactiveUser"}
	}
	if v.mfa {
		row.Requirement = "multiFactorAuthentication"
	}
	if v.err == 0 {
		row.Token = both.token(22)
	} else if v.err == 53003 {
		row.Conditional = "failure"
	} else {
		row.Conditional = "notApplied"
	}
	if v.home != o {
		row.Cross = "serviceProvider"
	}
	if v.app == appPortal || v.app == appPowerShell {
		row.Resource, row.ResourceID = "Windows Azure Service Management API", "797f4846-ba00-4fd7-ba43-dac1f8f63013"
	}
	text := string(jsonOf(row))
	s.line(o, signInFile, v.t, text)
	if v.home != o {
		s.line(v.home, signInFile, v.t, text)
	}
}

// appSignIn writes a sign-in of the provider's application at a client.
func (s *scribe) appSignIn(o *org, t time.Time, keyID string, from where) {
	s.applicationIn(o, t, keyID, from, 0)
}

// appRefused is one that conditional access turns away.
func (s *scribe) appRefused(o *org, t time.Time, keyID string, from where) {
	s.applicationIn(o, t, keyID, from, 53003)
}

func (s *scribe) applicationIn(o *org, t time.Time, keyID string, from where, wrong int) {
	w := s.w
	s.line(o, signInFile, t, string(jsonOf(signInRow{ID: s.n.guid(), Created: t.Format(time.RFC3339), Correlation: s.n.guid(), AppID: w.appID, App: w.provider.name + " Baseline",
		IP: from.ip.String(), ASN: from.asn, Conditional: "notApplied", Types: []string{"servicePrincipal"}, Resource: "Microsoft Graph",
		ResourceID: "00000003-0000-0000-c000-000000000000", ResourceHome: o.entra, Home: w.provider.entra, Cross: "none", Status: status{wrong, failures[wrong], nil},
		Location: location{from.place.city, "", from.place.country}, Token: s.n.token(22), Principal: newRNG(w.names, "sp", o.idx).guid(),
		PrincipalName: w.provider.name + " Baseline", KeyID: keyID, Owner: w.provider.entra})))
}

type pair struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

type unified struct {
	CreationTime                         string
	Id, Operation, OrganizationId        string
	RecordType                           int
	ResultStatus, UserKey                string
	UserType, Version                    int
	Workload, ClientIP, ObjectId, UserId string
	ClientInfoString                     string `json:",omitempty"`
	ExternalAccess                       bool
	MailboxOwnerUPN                      string `json:",omitempty"`
	OperationProperties                  []pair `json:",omitempty"`
	Parameters                           []pair `json:",omitempty"`
}

// guest is the name of a partner's account in a client's unified audit log.
func guest(home *org, who *person) string {
	return "user_" + strings.ReplaceAll(who.oid, "-", "") + "@" + home.domain
}

// m365 writes one record of the unified audit log: who did what to whose mailbox or file.
func (s *scribe) m365(o *org, t time.Time, op, user string, ip netip.Addr, owner *person, params ...pair) {
	u := unified{CreationTime: t.Format("2006-01-02T15:04:05"), Id: s.n.guid(), Operation: op, OrganizationId: o.entra, RecordType: 2, ResultStatus: "Succeeded",
		UserKey: newRNG(7, user).hex(8), Version: 1, Workload: "Exchange", ClientIP: ip.String(), UserId: user}
	switch op {
	case "MailItemsAccessed":
		u.RecordType, u.ClientInfoString = 50, "Client=OWA;Action=ViaProxy"
		u.OperationProperties = []pair{{"MailAccessType", "Bind"}, {"IsThrottled", "False"}}
	case "FileDownloaded", "FileAccessed":
		u.RecordType, u.Workload = 6, "SharePoint"
	case "UserLoggedIn":
		u.RecordType, u.Workload = 15, "AzureActiveDirectory"
	case "New-InboxRule", "Set-Mailbox", "Add-MailboxPermission":
		u.RecordType, u.Parameters = 1, params
	}
	if owner != nil {
		u.MailboxOwnerUPN = owner.mail
		u.ExternalAccess = !strings.HasSuffix(user, "@"+o.domain)
		u.ObjectId = owner.mail
	}
	s.line(o, m365File, t, string(jsonOf(u)))
}

// activity writes the start and the end of an act on an Azure machine.
func (s *scribe) activity(o *org, t time.Time, op string, vm *host, upn, home string, ip netip.Addr) {
	type claims struct {
		UPN  string `json:"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"`
		Home string `json:"http://schemas.microsoft.com/identity/claims/tenantid"`
	}
	id := s.n.guid()
	for i, result := range []string{"Start", "Success"} {
		at := t.Add(time.Duration(i) * 31 * time.Second)
		s.line(o, activityFile, at, string(jsonOf(struct {
			Time        string         `json:"time"`
			Resource    string         `json:"resourceId"`
			Operation   string         `json:"operationName"`
			Category    string         `json:"category"`
			Result      string         `json:"resultType"`
			Caller      string         `json:"callerIpAddress"`
			Correlation string         `json:"correlationId"`
			Identity    map[string]any `json:"identity"`
			Level       string         `json:"level"`
			Tenant      string         `json:"tenantId"`
		}{at.Format("2006-01-02T15:04:05.000Z"), "/SUBSCRIPTIONS/" + strings.ToUpper(o.subscript) + "/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/" + strings.ToUpper(vm.name),
			op, "Administrative", result, ip.String(), id, map[string]any{"claims": claims{upn, home}}, "Information", o.entra})))
	}
}

// directory writes one record of the directory's own audit log.
func (s *scribe) directory(o *org, t time.Time, category, what, by, target string, changed ...pair) {
	props := make([]map[string]string, 0, len(changed))
	for _, c := range changed {
		props = append(props, map[string]string{"displayName": c.Name, "newValue": c.Value})
	}
	s.line(o, auditFile, t, string(jsonOf(map[string]any{"id": "Directory_" + s.n.guid(), "activityDateTime": t.Format(time.RFC3339), "activityDisplayName": what, "category": category,
		"correlationId": s.n.guid(), "result": "success", "loggedByService": "Core Directory", "operationType": "Update",
		"initiatedBy":     map[string]any{"user": map[string]string{"userPrincipalName": by, "ipAddress": o.egress.String()}},
		"targetResources": []any{map[string]any{"displayName": target, "type": "Other", "modifiedProperties": props}}})))
}
