package scenario

var delegatedAdmin = kind{"delegated-admin", func(*world) {}, func(*world) {}}
