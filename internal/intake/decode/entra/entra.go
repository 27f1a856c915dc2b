// Package entra decodes what Microsoft's directory and Azure's control plane log: Entra sign-ins (of people,
// interactive or not, of service principals and managed identities), directory audit entries, risk detections,
// alerts of privileged identity management, and the Azure activity log. Each comes in several wrappings: Graph,
// diagnostic settings of Azure Monitor, Log Analytics (JSON and CSV) and the CSV and JSON that the portals export.
// They differ in case, in prefix and in what is JSON inside a string; all are read, the parts inside strings stand
// among the event's fields like the others, and what an envelope holds below "properties." is found without that
// prefix too, since rules speak both.
//
// Out come events of layer cloud whose Cloud says which tenant the principal is at home in and which one it
// entered, and the join keys entra-request and entra-token, by which both tenants' logs name the same sign-in.
// A record without a time is refused with the reason.
//
// Some of Sigma's rules speak names that only the portal shows: ClientApp, Username, ResultDescription,
// ActivityDetails and, for sign-ins, properties.message with the protocol. Those are added where they are missing.
//
// Sources: Microsoft's references of the Graph resources signIn, directoryAudit, riskDetection and
// unifiedRoleManagementAlertIncident, of the Azure Monitor tables of the same logs, and the columns of portal
// exports as public tools read them. No portal export could be had to verify: a column of another name is kept
// under its own name and not understood. Portals write columns in the reader's language; English ones are read.
package entra

import (
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the formats of this package. No record matches two of them.
func Objects() []decode.Object {
	return []decode.Object{
		{Name: "entra/signin", Match: isSignin, Decode: signin},
		{Name: "entra/audit", Match: isAudit, Decode: audit},
		{Name: "entra/risk", Match: isRisk, Decode: risk},
		{Name: "azure/activity", Match: isActivity, Decode: activity},
	}
}

// Streams returns the CSV exports of this package.
func Streams() []decode.Stream {
	of := func(name string, decoder func(*decode.JSON, *ocsf.Event) error) []decode.Object {
		return []decode.Object{{Name: name, Match: func(*decode.JSON) bool { return true }, Decode: decoder}}
	}
	return []decode.Stream{
		(&decode.Table{Name: "entra/signin-csv", Knows: isSigninExport, Rename: signinColumn, Fit: fitSignin, Objects: of("entra/signin", signin)}).Stream(),
		(&decode.Table{Name: "entra/audit-csv", Knows: isAuditExport, Rename: auditColumn, Fit: fitAudit, Objects: of("entra/audit", audit)}).Stream(),
		(&decode.Table{Name: "azure/table-csv", Knows: isTableExport, Fit: fitTable, Objects: Objects()}).Stream(),
	}
}

// category returns the table that a record of diagnostic settings or Log Analytics belongs to.
func category(o *decode.JSON) string {
	if c := o.First("category", "Category"); c != "" {
		return c
	}
	if o.Has("TimeGenerated") {
		return o.Str("Type")
	}
	return ""
}

// endsFold reports whether s ends in the suffix, in any case.
func endsFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// joined takes away what portals put between words.
var joined = strings.NewReplacer(" ", "", "-", "")

// spelled returns the API's spelling of a word that a portal writes otherwise: "Service provider" is
// serviceProvider. A word that is none of them is returned as it is.
func spelled(s string, words ...string) string {
	if s == "" || slices.Contains(words, s) {
		return s
	}
	bare := joined.Replace(s)
	for _, w := range words {
		if strings.EqualFold(bare, w) {
			return w
		}
	}
	return s
}

// isTableExport matches CSV exports of the Log Analytics tables that this package reads.
func isTableExport(h decode.Header) bool {
	if !h.Has("TimeGenerated") && !h.Has("TimeGenerated [UTC]") {
		return false
	}
	return h.Has("ResultType", "AppId") || h.Has("InitiatedBy", "TargetResources") || h.Has("OperationNameValue") || h.Has("RiskEventType")
}
