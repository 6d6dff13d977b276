module mintmark.example/verify

go 1.19
