SELECT route FROM held
