// Prints what apimachinery's resource.Quantity says about many texts: text, Value(), MilliValue(), sign, and Value() and MilliValue() of the sum
// with 1000000007.0005; or text and `error`. No object has negative amounts, or such whose thousandths do not fit into an int64: they are left out, and so
// are texts without any digit, which Kubernetes takes for zero and stowplan refuses.
//
//	cd tests/data/quantities && go mod init q && go get k8s.io/apimachinery && go run . > ../quantities.tsv
package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

func main() {
	numbers := []string{
		"0", "1", "-1", "7", "0.5", "1.5", "-2.5", "0.1", "0.0000000001", "-0.0000000004", "0.999999999", "123456789", "000012", "+3", "1.", ".5",
		"4095", "1000000", "999999999999999", "1000000000000000", "12345678901234567", "999999999999999999", "1000000000000000000",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616", "1.23456789012345678",
		"92233720368547758.07", "12345678901234567890.123456789123",
	}
	suffixes := []string{
		"", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E3", "e-3", "e-9", "e-10", "E+2", "e18", "e-12",
	}
	bad := []string{
		"", "1.2.3", "1x", "x", "1 ", " 1", "1ki", "1mi", "1K", "1e", "1E", "1e+", "1e1.5", "0x10", "1_000", "--1", "+-1", "1Zi",
		"1kk", "1n1", "1e9999999999999999999", "∞", "1,5",
	}
	most, limit := resource.MustParse("1000000007.0005"), resource.MustParse("9223372035854775")
	show := func(text string) {
		q, err := resource.ParseQuantity(text)
		if err != nil {
			fmt.Printf("%s\terror\n", text)
			return
		}
		if q.Sign() < 0 || q.Cmp(limit) > 0 {
			return
		}
		value, milli, sign := q.Value(), q.MilliValue(), q.Sign()
		sum := q.DeepCopy()
		sum.Add(most)
		fmt.Printf("%s\t%d\t%d\t%d\t%d\t%d\n", text, value, milli, sign, sum.Value(), sum.MilliValue())
	}
	for _, number := range numbers {
		for _, suffix := range suffixes {
			show(number + suffix)
		}
	}
	for _, text := range bad {
		show(text)
	}
}
