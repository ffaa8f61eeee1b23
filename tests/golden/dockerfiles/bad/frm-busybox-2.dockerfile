frm busybox
