package scenario

// falseAlarm: nothing but the benign twins. No campaign.
var falseAlarm = kind{"false-alarm", func(*world) {}, func(*world) {}}
