// Package m365 decodes the unified audit log of Microsoft 365 as it comes and as people export it: records of the
// Management Activity API, the OfficeActivity table of Log Analytics (JSON and CSV), what Search-UnifiedAuditLog
// gives (JSON, and CSV by Export-Csv), the CSV that the Purview portal downloads, and the records of Graph's audit
// log queries. Wherever the record itself is a string or an object in AuditData, it is unwrapped: its own fields
// go before the wrapper's, and all stand under their own names.
//
// Out come events of layer cloud with the principal, the operation, the object, the source address and the app. A
// principal of another organisation is known by ActorContextId, its home, and by the user type PartnerTechnician.
// What ExtendedProperties holds as names and values stands under those names too, since rules speak them
// (RequestType). A record without a time, or whose AuditData was cut short (spreadsheets cut cells at 32,767
// characters), is refused with the reason.
//
// Sources: Microsoft's "Office 365 Management Activity API schema", the reference of Search-UnifiedAuditLog, of
// the OfficeActivity table and of Graph's auditLogRecord. The columns of the Purview download are as its
// documentation lists them; no download could be had to verify.
package m365

import "github.com/breakwater-project/breakwater/internal/intake/decode"

// Objects returns the format of this package.
func Objects() []decode.Object {
	return []decode.Object{{Name: "m365/audit", Match: isRecord, Decode: record}}
}

// Streams returns the CSV exports of this package.
func Streams() []decode.Stream {
	return []decode.Stream{(&decode.Table{Name: "m365/audit-csv", Knows: isExport, Objects: Objects()}).Stream()}
}

// isExport matches the CSV of Search-UnifiedAuditLog, of Purview and of the OfficeActivity table.
func isExport(h decode.Header) bool {
	if h.Has("AuditData") {
		return h.Has("CreationDate") || h.Has("Operations") || h.Has("Operation")
	}
	return h.Has("Operation", "OfficeWorkload") && (h.Has("TimeGenerated") || h.Has("TimeGenerated [UTC]"))
}
