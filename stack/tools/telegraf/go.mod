module denyut/stack/tools/telegraf

go 1.26.0

require github.com/influxdata/telegraf v1.39.3
