package app.rbac

# The OPA in OPAL reads the old Rego syntax by default.
import rego.v1

# Who may see the feature for customers in the US.
us_users contains user if {
	some user
	data.users[user].location.country == "US"
}

# Who may see the billing page.
billing_users contains user if {
	some user
	"billing" in data.users[user].roles
}
