//! The HL7 v2 message in its "encoding rules 7" form (HL7 v2 chapter 2).
