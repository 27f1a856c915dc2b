package lateral

import "strings"

// orders are the RPC operations by which one host makes another execute something or start it later, by interface and
// operation in lower case as Zeek names them. They are those of MITRE's BZAR (bzar_dce-rpc_consts, T1569.002, T1047,
// T1053.002, T1053.005, T1547), with what writes the registry and what automates a program (T1112, T1021.003) beside.
var orders = map[string]map[string]mechanism{
	"svcctl": {"createservicewow64w": byService, "createservicewow64a": byService, "createservicew": byService, "createservicea": byService,
		"startservicew": byService, "startservicea": byService, "changeserviceconfigw": byService, "changeserviceconfiga": byService},
	"atsvc":                 {"jobadd": byTask, "netrjobadd": byTask},
	"itaskschedulerservice": {"schrpcregistertask": byTask, "schrpcrun": byTask, "schrpcenabletask": byTask},
	"iwbemservices":         {"execmethod": byWMI, "execmethodasync": byWMI, "putinstance": byWMI, "putinstanceasync": byWMI},
	"idispatch":             {"invoke": byDCOM},
	"winreg": {"baseregsetvalue": byRegistry, "baseregcreatekey": byRegistry, "baseregloadkey": byRegistry, "baseregrestorekey": byRegistry,
		"baseregreplacekey": byRegistry},
	"iseclogon":       {"seclcreateprocesswithlogonw": byLoader, "seclcreateprocesswithlogonexw": byLoader},
	"spoolss":         {"rpcaddmonitor": byLoader, "rpcaddprintprocessor": byLoader},
	"iremotewinspool": {"rpcasyncaddmonitor": byLoader, "rpcasyncaddprintprocessor": byLoader},
}

// orderOf returns the mechanism of an RPC operation.
func orderOf(endpoint, operation string) (mechanism, bool) {
	ops := orders[strings.ToLower(endpoint)]
	if ops == nil {
		return byNone, false
	}
	m, ok := ops[strings.ToLower(operation)]
	return m, ok
}

// interfaces gives the name of an RPC interface by its UUID, and its operations by number, for sensors that tell no
// names. The numbers are those of MS-SCMR 3.1.4, MS-TSCH 3.2.5, MS-WMI 3.1.4.3, MS-RRP 3.1.5, MS-OAUT 3.1.4.
var interfaces = map[string]struct {
	name string
	ops  map[string]string
}{
	"367abb81-9844-35f1-ad32-98f038001003": {"svcctl", map[string]string{"11": "ChangeServiceConfigW", "12": "CreateServiceW", "19": "StartServiceW", "23": "ChangeServiceConfigA",
		"24": "CreateServiceA", "31": "StartServiceA", "44": "CreateServiceWOW64A", "45": "CreateServiceWOW64W"}},
	"1ff70682-0a51-30e8-076d-740be8cee98b": {"atsvc", map[string]string{"0": "JobAdd"}},
	"86d35949-83c9-4044-b424-db363231fd0c": {"ITaskSchedulerService", map[string]string{"1": "SchRpcRegisterTask", "12": "SchRpcRun", "19": "SchRpcEnableTask"}},
	"9556dc99-828c-11cf-a37e-00aa003240c7": {"IWbemServices", map[string]string{"14": "PutInstance", "15": "PutInstanceAsync", "24": "ExecMethod", "25": "ExecMethodAsync"}},
	"338cd001-2244-31f1-aaaa-900038001003": {"winreg", map[string]string{"6": "BaseRegCreateKey", "13": "BaseRegLoadKey", "18": "BaseRegReplaceKey", "19": "BaseRegRestoreKey", "22": "BaseRegSetValue"}},
	"00020400-0000-0000-c000-000000000046": {"IDispatch", map[string]string{"6": "Invoke"}},
}

// adminPipes are the pipes by which the services of orders are reached.
var adminPipes = map[string]mechanism{"svcctl": byService, "atsvc": byTask, "winreg": byRegistry}

// toolPipe reports whether a pipe is a tool's own for execution from afar, by the names that PsExec and its free
// re-makes keep: the name of their service, mostly with the streams stdin, stdout and stderr behind it.
func toolPipe(name string) bool {
	name = strings.ToLower(strings.TrimPrefix(name, `\`))
	for _, tail := range [...]string{"-stdin", "-stdout", "-stderr"} {
		if strings.HasSuffix(name, tail) {
			return true
		}
	}
	for _, stem := range [...]string{"psexesvc", "paexec", "remcom_comunication", "remcom_communication", "csexec"} {
		if strings.HasPrefix(name, stem) {
			return true
		}
	}
	return false
}
