package enumeration

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// operation is one remote procedure that tells about a network.
type operation struct {
	kind      kind
	technique ocsf.Technique
}

// operations are the discovery calls of Windows' RPC interfaces by "endpoint::operation" in lower case. Names and
// techniques are those of MITRE's BZAR (scripts/bzar_dce-rpc_consts.zeek, 2020-10-09) where it has them; the rest are
// of MS-SRVS, MS-WKST, MS-SAMR, MS-LSAD, MS-DRSR, MS-NRPC, MS-SCMR, MS-RRP and MS-RPCE.
var operations = map[string]operation{
	"drsuapi::drsgetncchanges": {kindReplication, "T1003.006"},
	"drsuapi::drsreplicasync":  {kindPolicy, "T1003.006"},
	"drsuapi::drscracknames":   {kindLookups, "T1087"}, "drsuapi::drsdomaincontrollerinfo": {kindPolicy, "T1018"},

	"srvsvc::netrshareenum": {kindShares, "T1135"}, "srvsvc::netrshareenumsticky": {kindShares, "T1135"},
	"srvsvc::netshareenumall": {kindShares, "T1135"}, "srvsvc::netshareenum": {kindShares, "T1135"},
	"srvsvc::netrsharegetinfo": {kindHost, "T1135"},
	"srvsvc::netrsessionenum":  {kindSessions, "T1049"}, "srvsvc::netsessenum": {kindSessions, "T1049"}, "srvsvc::netsessionenum": {kindSessions, "T1049"},
	"srvsvc::netrconnectionenum": {kindSessions, "T1049"}, "srvsvc::netconnenum": {kindSessions, "T1049"},
	"wkssvc::netrwkstauserenum": {kindSessions, "T1033"}, "wkssvc::netwkstaenumusers": {kindSessions, "T1033"}, "wkssvc::netwkstauserenum": {kindSessions, "T1033"},
	"winreg::openusers": {kindSessions, "T1033"}, "winreg::openhku": {kindSessions, "T1033"},
	"srvsvc::netrfileenum": {kindFiles, "T1083"}, "srvsvc::netfileenum": {kindFiles, "T1083"},
	"srvsvc::netrservergetinfo": {kindHost, "T1018"}, "srvsvc::netsrvgetinfo": {kindHost, "T1018"},
	"srvsvc::netrserveraliasenum": {kindHost, "T1018"},
	"wkssvc::netrwkstagetinfo":    {kindHost, "T1018"}, "wkssvc::netwkstagetinfo": {kindHost, "T1018"},
	"srvsvc::netrservertransportenum": {kindHost, "T1016"}, "wkssvc::netrwkstatransportenum": {kindHost, "T1016"},
	"srvsvc::netrremotetod": {kindHost, "T1124"}, "srvsvc::netremotetod": {kindHost, "T1124"},

	"samr::samrenumerateusersindomain": {kindAccounts, "T1087"}, "samr::samrenumeratedomainusers": {kindAccounts, "T1087"}, "samr::enumdomainusers": {kindAccounts, "T1087"},
	"samr::samrquerydisplayinformation": {kindAccounts, "T1087"}, "samr::samrquerydisplayinformation2": {kindAccounts, "T1087"},
	"samr::samrquerydisplayinformation3": {kindAccounts, "T1087"}, "lsarpc::lsarenumerateaccounts": {kindAccounts, "T1087"},
	"samr::samrenumeratealiasesindomain": {kindGroups, "T1069"}, "samr::samrenumerategroupsindomain": {kindGroups, "T1069"},
	"samr::enumdomaingroups": {kindGroups, "T1069"}, "samr::enumdomainaliases": {kindGroups, "T1069"},
	"samr::samrgetmembersinalias": {kindGroups, "T1069"}, "samr::samrgetmembersingroup": {kindGroups, "T1069"},
	"lsarpc::lsarenumerateaccountswithuserright": {kindGroups, "T1069"}, "lsarpc::lsarenumerateaccountrights": {kindGroups, "T1069"},
	"lsarpc::lsarenumerateprivileges": {kindGroups, "T1069"}, "lsarpc::lsarenumerateprivilegesaccount": {kindGroups, "T1069"},

	"lsarpc::lsarenumeratetrusteddomains": {kindTrusts, "T1482"}, "lsarpc::lsarenumeratetrusteddomainsex": {kindTrusts, "T1482"},
	"lsarpc::lsarquerytrusteddomaininfo": {kindTrusts, "T1482"}, "lsarpc::lsarquerytrusteddomaininfobyname": {kindTrusts, "T1482"},
	"lsarpc::lsarqueryinfotrusteddomain":    {kindTrusts, "T1482"},
	"netlogon::netrenumeratetrusteddomains": {kindTrusts, "T1482"}, "netlogon::netrenumeratetrusteddomainsex": {kindTrusts, "T1482"},
	"netlogon::dsrenumeratedomaintrusts": {kindTrusts, "T1482"}, "netlogon::dsrgetforesttrustinformation": {kindTrusts, "T1482"},

	"samr::samrenumeratedomainsinsamserver": {kindPolicy, "T1033"}, "samr::samrqueryinformationdomain": {kindPolicy, "T1033"},
	"samr::samrqueryinformationdomain2": {kindPolicy, "T1033"}, "samr::samrqueryinformationgroup": {kindPolicy, "T1033"},
	"samr::samrgetuserdomainpasswordinformation": {kindPolicy, "T1082"}, "lsarpc::lsarqueryinformationpolicy": {kindPolicy, "T1082"},
	"lsarpc::lsarqueryinformationpolicy2": {kindPolicy, "T1082"}, "lsarpc::lsarquerydomaininformationpolicy": {kindPolicy, "T1033"},

	"samr::samrlookupnamesindomain": {kindLookups, "T1087"}, "samr::samrlookupidsindomain": {kindLookups, "T1087"},
	"samr::samrqueryinformationuser": {kindLookups, "T1087"}, "samr::samrqueryinformationuser2": {kindLookups, "T1087"},
	"samr::samrqueryinformationalias": {kindLookups, "T1087"}, "samr::samrgetgroupsforuser": {kindLookups, "T1069"},
	"samr::samrgetaliasmembership": {kindLookups, "T1069"},
	"lsarpc::lsarlookupnames":      {kindLookups, "T1087"}, "lsarpc::lsarlookupnames2": {kindLookups, "T1087"},
	"lsarpc::lsarlookupnames3": {kindLookups, "T1087"}, "lsarpc::lsarlookupnames4": {kindLookups, "T1087"},
	"lsarpc::lsarlookupsids": {kindLookups, "T1087"}, "lsarpc::lsarlookupsids2": {kindLookups, "T1087"}, "lsarpc::lsarlookupsids3": {kindLookups, "T1087"},

	"svcctl::enumservicesstatusw": {kindConfig, "T1007"}, "svcctl::enumservicesstatusa": {kindConfig, "T1007"},
	"svcctl::enumservicesstatusexw": {kindConfig, "T1007"}, "svcctl::enumservicesstatusexa": {kindConfig, "T1007"},
	"svcctl::renumservicesstatusw": {kindConfig, "T1007"}, "svcctl::renumservicesstatusexw": {kindConfig, "T1007"},
	"winreg::baseregenumkey": {kindConfig, "T1012"}, "winreg::baseregenumvalue": {kindConfig, "T1012"},
	"winreg::enumkey": {kindConfig, "T1012"}, "winreg::enumvalue": {kindConfig, "T1012"},

	"epmapper::ept_lookup": {kindEndpoints, "T1046"}, "epm::ept_lookup": {kindEndpoints, "T1046"},
}

// opnums name the same calls for sensors that tell the interface's UUID and the number of the operation, as the
// protocols' documents (MS-SRVS 3.1.4 and its like) number them.
var opnums = map[string]map[int]string{
	"4b324fc8-1670-01d3-1278-5a47bf6ee188": {8: "srvsvc::netrconnectionenum", 9: "srvsvc::netrfileenum", 12: "srvsvc::netrsessionenum", 15: "srvsvc::netrshareenum",
		16: "srvsvc::netrsharegetinfo", 21: "srvsvc::netrservergetinfo", 26: "srvsvc::netrservertransportenum", 28: "srvsvc::netrremotetod", 36: "srvsvc::netrshareenumsticky"},
	"6bffd098-a112-3610-9833-46c3f87e345a": {0: "wkssvc::netrwkstagetinfo", 2: "wkssvc::netrwkstauserenum", 5: "wkssvc::netrwkstatransportenum"},
	"12345778-1234-abcd-ef00-0123456789ac": {6: "samr::samrenumeratedomainsinsamserver", 8: "samr::samrqueryinformationdomain", 11: "samr::samrenumerategroupsindomain",
		13: "samr::samrenumerateusersindomain", 15: "samr::samrenumeratealiasesindomain", 16: "samr::samrgetaliasmembership", 17: "samr::samrlookupnamesindomain",
		18: "samr::samrlookupidsindomain", 20: "samr::samrqueryinformationgroup", 25: "samr::samrgetmembersingroup", 28: "samr::samrqueryinformationalias",
		33: "samr::samrgetmembersinalias", 36: "samr::samrqueryinformationuser", 39: "samr::samrgetgroupsforuser", 40: "samr::samrquerydisplayinformation",
		44: "samr::samrgetuserdomainpasswordinformation", 46: "samr::samrqueryinformationdomain2", 47: "samr::samrqueryinformationuser2",
		48: "samr::samrquerydisplayinformation2", 51: "samr::samrquerydisplayinformation3"},
	"12345778-1234-abcd-ef00-0123456789ab": {2: "lsarpc::lsarenumerateprivileges", 7: "lsarpc::lsarqueryinformationpolicy", 11: "lsarpc::lsarenumerateaccounts",
		13: "lsarpc::lsarenumeratetrusteddomains", 14: "lsarpc::lsarlookupnames", 15: "lsarpc::lsarlookupsids", 35: "lsarpc::lsarenumerateaccountswithuserright",
		36: "lsarpc::lsarenumerateaccountrights", 46: "lsarpc::lsarqueryinformationpolicy2", 50: "lsarpc::lsarenumeratetrusteddomainsex",
		57: "lsarpc::lsarlookupsids2", 58: "lsarpc::lsarlookupnames2", 68: "lsarpc::lsarlookupnames3", 76: "lsarpc::lsarlookupsids3", 77: "lsarpc::lsarlookupnames4"},
	"e3514235-4b06-11d1-ab04-00c04fc2dcd2": {2: "drsuapi::drsreplicasync", 3: "drsuapi::drsgetncchanges", 12: "drsuapi::drscracknames", 16: "drsuapi::drsdomaincontrollerinfo"},
	"12345678-1234-abcd-ef00-01234567cffb": {19: "netlogon::netrenumeratetrusteddomains", 36: "netlogon::netrenumeratetrusteddomainsex",
		40: "netlogon::dsrenumeratedomaintrusts", 43: "netlogon::dsrgetforesttrustinformation"},
	"367abb81-9844-35f1-ad32-98f038001003": {14: "svcctl::enumservicesstatusw", 42: "svcctl::enumservicesstatusexw"},
	"338cd001-2244-31f1-aaaa-900038001003": {4: "winreg::openusers", 9: "winreg::baseregenumkey", 10: "winreg::baseregenumvalue"},
	"e1af8308-5d1f-11c9-91a4-08002b14a0fa": {2: "epmapper::ept_lookup"},
}

// pipeKinds are the pipes below IPC$ by which discovery goes; the operation is not known from them.
var pipeKinds = map[string]bool{"srvsvc": true, "wkssvc": true, "samr": true, "lsarpc": true, "winreg": true, "svcctl": true}

// callOf returns the act of a remote procedure; ok is false for one that tells nothing of the network. When is the
// call's time in tenths of a second, so that a call that two sensors saw is one.
func callOf(a act, endpoint, name string, when int64) (act, bool) {
	key := strings.ToLower(endpoint) + "::" + strings.ToLower(name)
	op, ok := operations[key]
	if !ok {
		return a, false
	}
	a.kind, a.technique, a.object = op.kind, op.technique, endpoint+"::"+name
	switch t := &traits[op.kind]; {
	case op.kind == kindLookups:
		var b [8]byte
		for i := range b {
			b[i] = byte(when >> (8 * i))
		}
		a = a.ofCall(key + string(b[:]))
	case t.perHost || op.kind == kindReplication:
		a = a.atHost()
	default:
		a = a.ofCall(key)
	}
	return a, true
}
