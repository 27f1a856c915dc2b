package sigma

import (
	"slices"
	"strings"
)

// signature is what an event is routed by.
type signature struct {
	source, channel, eventID, eventType string
}

// facets say to which log sources an event belongs. Empty product: any rule's product is refused but none.
type facets struct {
	product    string
	services   []string
	categories []string
}

// fits reports whether a rule of that log source is for such events: every part it names must be one of theirs.
func (f *facets) fits(l LogSource) bool {
	return (l.Product == "" || l.Product == f.product) &&
		(l.Service == "" || slices.Contains(f.services, l.Service)) &&
		(l.Category == "" || slices.Contains(f.categories, l.Category))
}

// windowsServices gives the Sigma service of a Windows channel, in lower case.
var windowsServices = map[string]string{
	"security": "security", "system": "system", "application": "application", "directory service": "ldap",
	"dns server": "dns-server", "windows powershell": "powershell-classic", "msexchange management": "msexchange-management",
	"microsoft-windows-sysmon/operational": "sysmon", "microsoft-windows-powershell/operational": "powershell",
	"powershellcore/operational": "powershell", "microsoft-windows-ntlm/operational": "ntlm",
	"microsoft-windows-taskscheduler/operational": "taskscheduler", "microsoft-windows-wmi-activity/operational": "wmi",
	"microsoft-windows-dhcp-server/operational": "dhcp", "microsoft-windows-printservice/admin": "printservice-admin",
	"microsoft-windows-printservice/operational": "printservice-operational", "microsoft-windows-smbclient/security": "smbclient-security",
	"microsoft-windows-smbclient/connectivity": "smbclient-connectivity", "microsoft-windows-smbserver/connectivity": "smbserver-connectivity",
	"microsoft-windows-terminalservices-localsessionmanager/operational": "terminalservices-localsessionmanager",
	"microsoft-windows-codeintegrity/operational":                        "codeintegrity-operational",
	"microsoft-windows-applocker/msi and script":                         "applocker", "microsoft-windows-applocker/exe and dll": "applocker",
	"microsoft-windows-applocker/packaged app-deployment": "applocker", "microsoft-windows-applocker/packaged app-execution": "applocker",
	"microsoft-windows-windows defender/operational":                           "windefend",
	"microsoft-windows-windows firewall with advanced security/firewall":       "firewall-as",
	"microsoft-windows-bits-client/operational":                                "bits-client",
	"microsoft-windows-security-mitigations/kernel mode":                       "security-mitigations",
	"microsoft-windows-security-mitigations/user mode":                         "security-mitigations",
	"microsoft-windows-diagnosis-scripted/operational":                         "diagnosis-scripted",
	"microsoft-windows-shell-core/operational":                                 "shell-core",
	"openssh/operational":                                                      "openssh",
	"microsoft-windows-ldap-client/debug":                                      "ldap",
	"microsoft-windows-bitlocker/bitlocker management":                         "bitlocker",
	"microsoft-windows-vhdmp/operational":                                      "vhdmp",
	"microsoft-windows-appxdeployment-server/operational":                      "appxdeployment-server",
	"microsoft-windows-appxdeploymentserver/operational":                       "appxdeployment-server",
	"microsoft-windows-lsa/operational":                                        "lsa-server",
	"microsoft-windows-appxpackaging/operational":                              "appxpackaging-om",
	"microsoft-windows-dns client events/operational":                          "dns-client",
	"microsoft-windows-dns-client/operational":                                 "dns-client",
	"microsoft-windows-dnsserver/analytical":                                   "dns-server-analytic",
	"microsoft-windows-dns-server/analytical":                                  "dns-server-analytic",
	"microsoft-windows-appmodel-runtime/admin":                                 "appmodel-runtime",
	"microsoft-windows-capi2/operational":                                      "capi2",
	"microsoft-windows-certificateservicesclient-lifecycle-system/operational": "certificateservicesclient-lifecycle-system",
	"microsoft-windows-kernel-shimengine/operational":                          "kernel-shimengine",
	"microsoft-windows-kernel-shimengine/diagnostic":                           "kernel-shimengine",
	"microsoft-windows-application-experience/program-telemetry":               "application-experience",
	"microsoft-windows-application-experience/program-compatibility-assistant": "application-experience",
	"microsoft-windows-ntfs/operational":                                       "ntfs",
	"microsoft-windows-hyper-v-worker":                                         "hyper-v-worker",
	"microsoft-windows-kernel-eventtracing":                                    "kernel-event-tracing",
	"microsoft-windows-sense/operational":                                      "sense",
	"microsoft-servicebus-client/admin":                                        "microsoft-servicebus-client",
	"microsoft-servicebus-client/operational":                                  "microsoft-servicebus-client",
	"microsoft-iis-configuration/operational":                                  "iis-configuration",
	"microsoft-windows-driverframeworks-usermode/operational":                  "driver-framework",
}

// sysmonCategories gives the Sigma categories of a Sysmon event id.
var sysmonCategories = map[string][]string{
	"1": {"process_creation"}, "2": {"file_change"}, "3": {"network_connection"}, "4": {"sysmon_status"},
	"5": {"process_termination"}, "6": {"driver_load"}, "7": {"image_load"}, "8": {"create_remote_thread"},
	"9": {"raw_access_thread"}, "10": {"process_access"}, "11": {"file_event"}, "12": {"registry_event"},
	"13": {"registry_event", "registry_set"}, "14": {"registry_event", "registry_rename"}, "15": {"create_stream_hash"},
	"16": {"sysmon_status"}, "17": {"pipe_created"}, "18": {"pipe_created"}, "19": {"wmi_event"}, "20": {"wmi_event"},
	"21": {"wmi_event"}, "22": {"dns_query"}, "23": {"file_delete"}, "24": {"clipboard_change"}, "25": {"process_tampering"},
	"26": {"file_delete", "file_delete_detected"}, "27": {"file_block_executable"}, "28": {"file_block_shredding"},
	"29": {"file_executable_detected"}, "255": {"sysmon_error"},
}

// serviceCategories gives the categories of events of other Windows services.
var serviceCategories = map[string]map[string]string{
	"security":           {"4688": "process_creation"},
	"powershell":         {"4103": "ps_module", "4104": "ps_script"},
	"powershell-classic": {"400": "ps_classic_start", "600": "ps_classic_provider_start", "800": "ps_classic_script"},
	"windefend": {"1006": "antivirus", "1007": "antivirus", "1008": "antivirus", "1009": "antivirus", "1010": "antivirus",
		"1011": "antivirus", "1012": "antivirus", "1017": "antivirus", "1018": "antivirus", "1019": "antivirus",
		"1115": "antivirus", "1116": "antivirus"},
}

// otherSources gives the facets of sources outside Windows by decoder and kind; the part after the slash is
// the service where no row names it.
var otherSources = map[string]facets{
	"entra/signin": {"azure", []string{"signinlogs"}, nil}, "entra/audit": {"azure", []string{"auditlogs"}, nil},
	"entra/risk": {"azure", []string{"riskdetection"}, nil}, "entra/pim": {"azure", []string{"pim"}, nil},
	"azure/activity": {"azure", []string{"activitylogs", "azureactivity"}, nil},
	"m365/ual":       {"m365", []string{"audit", "exchange", "threat_management", "threat_detection"}, nil},
	"aws/cloudtrail": {"aws", []string{"cloudtrail"}, nil}, "gcp/audit": {"gcp", []string{"gcp.audit"}, nil},
	"google/admin": {"gcp", []string{"google_workspace.admin"}, nil}, "google/login": {"gcp", []string{"google_workspace.login"}, nil},
	"okta/system": {"okta", []string{"okta"}, nil}, "github/audit": {"github", []string{"audit"}, nil},
	"defender/antivirus":          {"windows", nil, []string{"antivirus"}},
	"defender/process_creation":   {"windows", nil, []string{"process_creation"}},
	"defender/file_event":         {"windows", nil, []string{"file_event"}},
	"defender/file_delete":        {"windows", nil, []string{"file_delete"}},
	"defender/image_load":         {"windows", nil, []string{"image_load"}},
	"defender/driver_load":        {"windows", nil, []string{"driver_load"}},
	"defender/network_connection": {"windows", nil, []string{"network_connection"}},
	"defender/registry_set":       {"windows", nil, []string{"registry_set", "registry_event"}},
	"defender/registry_add":       {"windows", nil, []string{"registry_add", "registry_event"}},
	"defender/registry_delete":    {"windows", nil, []string{"registry_delete", "registry_event"}},
	"kubernetes/audit":            {"kubernetes", []string{"audit"}, []string{"application"}},
	"zeek/dns":                    {"zeek", []string{"dns"}, []string{"dns"}}, "zeek/http": {"zeek", []string{"http"}, []string{"proxy", "webserver"}},
	"zeek/conn":    {"zeek", []string{"conn"}, []string{"firewall"}},
	"suricata/dns": {"suricata", []string{"dns"}, []string{"dns"}}, "suricata/http": {"suricata", []string{"http"}, []string{"proxy", "webserver"}},
	"web/access": {"", []string{"apache", "nginx", "iis"}, []string{"webserver"}}, "web/proxy": {"", nil, []string{"proxy"}},
}

// remoteSupport are the products whose own logs are of category remote_access, of our own making: Sigma has none for
// them, and a rule about sessions is the same for all.
var remoteSupport = [...]string{"anydesk", "atera", "beyondtrust", "kaseya", "nable", "ninjaone", "screenconnect", "simplehelp", "splashtop", "teamviewer"}

// synonyms are other names that decoders of the same logs go by.
var synonyms = map[string]string{
	"azuread/signin": "entra/signin", "entra/signinlogs": "entra/signin", "azure/signinlogs": "entra/signin", "azure/signin": "entra/signin",
	"entra/auditlogs": "entra/audit", "azure/auditlogs": "entra/audit", "azure/audit": "entra/audit", "entra/directory": "entra/audit",
	"azure/activitylogs": "azure/activity", "azureactivity": "azure/activity", "azure/azureactivity": "azure/activity",
	"m365/audit": "m365/ual", "m365/unified": "m365/ual", "o365/audit": "m365/ual", "o365/ual": "m365/ual", "m365": "m365/ual",
	"m365/exchange": "m365/ual", "cloudtrail": "aws/cloudtrail", "aws": "aws/cloudtrail", "okta": "okta/system",
	"eve/dns": "suricata/dns", "eve/http": "suricata/http", "iis": "web/access", "iis/access": "web/access", "web/iis": "web/access",
	"http/access": "web/access", "apache/access": "web/access", "nginx/access": "web/access", "weblog": "web/access", "web": "web/access",
	"proxy": "web/proxy", "proxy/access": "web/proxy", "squid/access": "web/proxy",
}

// classify says to which log sources events of that signature belong.
func classify(s signature) facets {
	source, channel := strings.ToLower(s.source), strings.ToLower(s.channel)
	decoder, sub, _ := strings.Cut(source, "/")
	if f, ok := classifyUnix(source, channel, s.eventID); ok {
		return f
	}
	if channel != "" || decoder == "windows" {
		return classifyWindows(channel, sub, s.eventID, strings.ToLower(s.eventType))
	}
	if to, ok := synonyms[source]; ok {
		source = to
		decoder, sub, _ = strings.Cut(source, "/")
	}
	if f, ok := otherSources[source]; ok {
		return f
	}
	if slices.Contains(remoteSupport[:], decoder) {
		return facets{decoder, []string{sub}, []string{sub, "remote_access"}}
	}
	f := facets{product: decoder}
	if sub != "" {
		// A decoder that speaks Sigma's own words needs no row: linux/auditd, linux/process_creation.
		f.services, f.categories = []string{sub}, []string{sub}
	}
	return f
}

func classifyWindows(channel, sub, eventID, eventType string) facets {
	f := facets{product: "windows"}
	service := windowsServices[channel]
	if sub == "defender" {
		sub = "windefend"
	}
	if service == "" {
		service = sub
		if channel != "" && service == "" {
			service = channel
		}
	}
	f.services = []string{service}
	if service != "sysmon" {
		if c := serviceCategories[service][eventID]; c != "" {
			f.categories = []string{c}
		}
		return f
	}
	f.categories = slices.Clone(sysmonCategories[eventID])
	if eventID == "12" {
		switch eventType {
		case "createkey":
			f.categories = append(f.categories, "registry_add")
		case "deletekey", "deletevalue":
			f.categories = append(f.categories, "registry_delete")
		}
	}
	return f
}
