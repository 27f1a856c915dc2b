package scenario

// falseAlarm: nothing but the benign twins. No campaign.
var falseAlarm = kind{name: "false-alarm", cast: func(*world) {}, plan: func(*world) {}}
